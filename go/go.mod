module ctrack

go 1.24
