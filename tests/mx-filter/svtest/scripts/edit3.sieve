require ["editheader","fileinto","mailbox"]; fileinto :create "before"; addheader "X-A" "1"; fileinto :create "after";
