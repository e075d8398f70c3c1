# shellcheck shell=bash
# Settings that let one clone of this repository use what another one compiled. Sourced after lib.sh.

# Paths below the clone count as relative ones, and nothing of a build depends on when and where
export CCACHE_BASEDIR=$ROOT CCACHE_NOHASHDIR=1
export KBUILD_BUILD_TIMESTAMP='Sat Nov 21 00:00:00 UTC 2026' KBUILD_BUILD_USER=nobody KBUILD_BUILD_HOST=localhost
# CROSS_COMPILE as for Kbuild; KCC is the compiler if it is not gcc
# shellcheck disable=SC2034
KMAKE=("CC=ccache ${CROSS_COMPILE:-}${KCC:-gcc}")
