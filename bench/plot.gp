# Cost against the number of ranges: gnuplot -e "csv='results.csv'; svg='cost.svg'" plot.gp

set datafile separator ','
# A line goes on where other rows are in between
set datafile missing NaN
set terminal svg size 900,600 dynamic enhanced background rgb 'white'
set output svg
set logscale xy
set xrange [0.7:1.5e6]
set title 'Map and unmap ranges of 4 KiB with holes between them'
set xlabel 'ranges'
set ylabel 'instructions'
set format x '10^{%L}'
set format y '10^{%L}'
set key top left
set grid

# 1 where a line of the table is of the curve, so that a product with it leaves the others out
of(kind, place) = stringcolumn(1) eq kind && stringcolumn(2) eq place && column(3) == 4096 && \
	stringcolumn(4) ne 'adjacent' && stringcolumn(6) eq 'map+unmap' ? 1 : NaN

plot csv using 5:($7 * of('iommu', 'intel')) with linespoints title 'PAL to iommu\_domain, Intel', \
	'' using 5:($10 * of('iommu', 'intel')) with linespoints title 'the floor: IOMMU API alone, one flush, Intel', \
	'' using 5:($7 * of('iommu', 'amdv1')) with linespoints title 'PAL to iommu\_domain, AMDv1', \
	'' using 5:($10 * of('iommu', 'amdv1')) with linespoints title 'the floor, AMDv1', \
	'' using 5:($7 * of('sgt', 'direct')) with linespoints title 'PAL to SGT, no IOMMU', \
	'' using 5:($8 * of('sgt', 'direct')) with linespoints title 'dma\_buf\_phys\_vec\_to\_sgt() of Linux 7.3, no IOMMU'
