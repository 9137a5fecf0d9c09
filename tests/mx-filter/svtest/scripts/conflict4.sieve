require ["reject"]; redirect "x@example.org"; reject "b";
