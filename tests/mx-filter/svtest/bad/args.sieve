require "fileinto"; fileinto; fileinto "a" "b"; fileinto 3; if size :over "x" { } if header "a" 3 { } redirect ["a@b.c", "d@e.f"];
