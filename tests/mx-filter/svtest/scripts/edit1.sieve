require ["editheader"]; addheader "X-First" "1";
