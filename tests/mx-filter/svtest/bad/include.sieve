require "include"; include "broken";
