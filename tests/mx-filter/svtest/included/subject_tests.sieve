require ["include","variables"]; global "test"; global ["test_mailbox"]; set "test" "x";
