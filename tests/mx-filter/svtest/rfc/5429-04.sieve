require ["ereject", "envelope"];
if envelope "from" "someone@example.com" {
    ereject "I no longer accept mail from this address";
}
