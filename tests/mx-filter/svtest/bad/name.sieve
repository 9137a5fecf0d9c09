if size :aaaaaaaaaabbbbbbbbbbccccccccccddd 3 { } aaaaaaaaaabbbbbbbbbbccccccccccddd;
