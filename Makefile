# DMA-buf mapping types for Linux: the front door. 'make help' tells all.

BUILD ?= $(CURDIR)/build
export BUILD

.PHONY: help demo test kunit series series-check linux save clean

help:
	@echo 'DMA-buf mapping types for Linux 7.3'
	@echo
	@echo 'Use it (each does all the set-up that it needs, as root on Debian 12 or 13):'
	@echo '  make demo          a BAR in several ranges reaches a device through iommufd, in QEMU'
	@echo '  make test          everything that is tested; the last line counts'
	@echo '  make kunit         the KUnit suites alone, on UML'
	@echo
	@echo 'Mail it:'
	@echo '  make series        mail-ready patches in build/series/'
	@echo '  make series-check  git am them, and build what each one touches for x86_64 and um'
	@echo
	@echo 'Work on it:'
	@echo '  make linux         build/linux: a git tree of the base, one commit for each patch'
	@echo '  make save          write the commits of build/linux back to patches/ and the new files'
	@echo '  make clean         remove build/; the fetched base and the ccache stay'
	@echo
	@echo 'Variables:'
	@echo '  KSRC=/path         a Linux tree to use instead of the Debian package'
	@echo '  BUILD=/path        where to build, instead of build/'
	@echo '  JOBS=N             compile N files at a time, instead of one for each processor'

demo: linux
	@scripts/demo

test: linux
	@scripts/test

kunit: linux
	@scripts/run-kunit

series: linux
	@scripts/make-series

series-check: series
	@scripts/check-series

linux:
	@scripts/install-packages
	@scripts/assemble

save:
	@scripts/save-series

clean:
	rm -rf '$(BUILD)'
