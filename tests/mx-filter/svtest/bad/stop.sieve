stop "x" true { }
