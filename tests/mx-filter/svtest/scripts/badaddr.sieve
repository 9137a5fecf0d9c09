require ["variables"]; redirect "${none}";
