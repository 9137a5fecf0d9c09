if size :over 18446744073709551616 { } if size :over 18446744073709551615 { } if size :over 16777216G { } if size :over 17179869184G { }
