require "encoded-character"; if header "subject" "${unicode:110000}" { } if header "subject" "${unicode:D800}" { }
