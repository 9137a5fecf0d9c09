require "include"; include "../one"; include "/etc/passwd"; include ".x";
