require "include"; include :personal "one"; frob;
