require "vacation";
