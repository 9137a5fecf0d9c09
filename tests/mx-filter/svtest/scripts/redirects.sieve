redirect "u1@example.org";
redirect "u2@example.org";
redirect "u3@example.org";
redirect "u4@example.org";
redirect "u5@example.org";
