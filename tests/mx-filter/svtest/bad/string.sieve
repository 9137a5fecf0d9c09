keep; redirect "a@b.example
