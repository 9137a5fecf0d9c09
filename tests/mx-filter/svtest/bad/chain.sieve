else { keep; } if true { } elsif true { } else { } elsif false { } else { }
