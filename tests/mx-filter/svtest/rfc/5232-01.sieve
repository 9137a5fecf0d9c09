require ["fileinto", "imap4flags", "variables", "relational"];
if size :over 1M {
    addflag "MyFlags" "Big";
    if header :is "From" "boss@company.example.com" {
        # The message will be marked as "\Flagged Big" when filed into "Big messages"
        addflag "MyFlags" "\\Flagged";
    }
    fileinto :flags "${MyFlags}" "Big messages";
}
if header :is "From" "grandma@example.net" {
    addflag "MyFlags" ["\\Answered", "$MDNSent"];
    fileinto :flags "${MyFlags}" "GrandMa";
}
if hasflag :contains "MyVar" "Junk" { discard; stop; }
if anyof (header :contains "From" "a", hasflag "MyVar" ["Label", "b"]) {
    removeflag "MyVar" "Label";
    addflag "MyVar" "Spam";
}
if hasflag :count "ge" :comparator "i;ascii-casemap" "MyFlag" "2" { keep; }
