if header :is :contains "a" "b" { } if header :comparator "i;octet" :comparator "i;octet" "a" "b" { }
