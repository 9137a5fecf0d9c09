keep "a" ; if ] true { keep; } stop; if true { keep
