require ["fileinto", "nonsense", "other"]; keep; require "copy"; if true { require "body"; }
