require ["fileinto","mailbox"]; if header "x-first" "1" { fileinto :create "second"; }
