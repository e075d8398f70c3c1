# DMA-buf mapping types for Linux: the front door. 'make help' tells all.

BUILD ?= $(CURDIR)/build
export BUILD

.PHONY: help demo test expected kunit routes coverage regress sanitize soak fuzz bench check docs
.PHONY: bench-figures series series-check series-test linux save clean

help:
	@echo 'DMA-buf mapping types for Linux 7.3'
	@echo
	@echo 'Use it (each does all the set-up that it needs, as root on Debian 12 or 13):'
	@echo '  make demo          a BAR in several ranges reaches a device through iommufd, in QEMU'
	@echo '  make test          what to run after each change; the last line counts'
	@echo
	@echo 'Test a part of it, or for longer:'
	@echo '  make kunit         the KUnit suites alone, on UML'
	@echo '  make routes        the KUnit suites in QEMU, on all ways between two PCI devices'
	@echo '  make coverage      which lines of the code the tests run: a table, and pages in build/coverage/'
	@echo '  make regress       the suites that Linux has, without and with the series, side by side'
	@echo '  make sanitize      the tests on kernels with KASAN and more, and with KCSAN'
	@echo '  make soak          half an hour of races on mock devices, in QEMU'
	@echo '  make fuzz          random calls against a model, in QEMU: 10 minutes'
	@echo '  make bench         instructions that it takes, next to those of Linux without it'
	@echo
	@echo 'Read it:'
	@echo '  make docs          the pages of Documentation/ in build/docs/, without a warning'
	@echo '  make check         checkpatch, kernel-doc, sparse, compilers, coccinelle, random configs'
	@echo
	@echo 'Mail it:'
	@echo '  make series        mail-ready patches in build/series/, a folder for each series'
	@echo '  make series-check  git am them, and build what each one touches for x86_64 and um'
	@echo '  make series-test   run what tests there are at the end of each series, as a kernel of its own'
	@echo
	@echo 'Work on it:'
	@echo '  make linux         build/linux: a git tree of the base, one commit for each patch and cover letter'
	@echo '  make save          write the commits of build/linux back to patches/ and the new files'
	@echo '  make bench-figures count anew what make test holds later counts against'
	@echo '  make expected      have make test expect of each suite what it counted last'
	@echo '  make clean         remove build/; the fetched base and the ccache stay'
	@echo
	@echo 'Variables:'
	@echo '  KSRC=/path         a Linux tree to use instead of the Debian package'
	@echo '  BUILD=/path        where to build, instead of build/'
	@echo '  JOBS=N             compile N files at a time, instead of one for each processor'
	@echo '  FORCE=1            have make save overwrite what changed here since make linux'
	@echo '  SOAK_SECONDS=N     how long make soak takes, instead of half an hour'
	@echo '  FUZZ_SECONDS=N     how long make fuzz goes on, FUZZ_SEED=N what it calls'
	@echo "  SERIES='3-pal ...' have make series-check and series-test take only these"
	@echo "  CHECKS='a b'       have make check do only these"
	@echo '  SEEDS=N            how many random configs to check, instead of 20; N-M: which of them'

demo: linux
	@harness/test/demo

test: linux
	@harness/test/test

expected:
	@harness/test/expect --update

kunit: linux
	@harness/test/kunit

routes: linux
	@harness/test/routes

coverage: linux
	@harness/test/coverage

regress: linux
	@harness/test/regress

sanitize: linux
	@harness/test/sanitize

soak: linux
	@harness/test/soak

fuzz: linux
	@harness/test/fuzz

check: linux
	@harness/build/install-packages check
	@harness/check/all $(CHECKS)

docs: linux
	@harness/check/docs

bench: linux
	@harness/build/install-packages bench
	@bench/run

bench-figures: linux
	@bench/guard --update

series: linux
	@harness/series/mail

series-check: series
	@harness/series/build-each

series-test: linux
	@harness/series/test-each

linux:
	@harness/build/install-packages
	@harness/series/assemble

save:
	@harness/series/save

clean:
	rm -rf '$(BUILD)'
