# sqlite:, pgsql: and mysql: tables with Postfix's files, beside Postfix's own
# postmap and the real data bases.
load ../lib/common
load ../lib/databases

setup_file() {
  D=$BATS_FILE_TMPDIR; export D
  chmod 711 "$BATS_RUN_TMPDIR" "$D"
  { read -r PGP; read -r MYP; read -r NOP; } < <(free_port 3)
  export PGP MYP NOP
  pg_make & maria_make & wait
  pg_run "$PGP"; maria_run "$MYP"
  echo "$PG $MARIA" > "$D/pids"
  cat > "$D/rows.sql" <<'SQL'
CREATE TABLE alias (address varchar(200), target varchar(200), active int);
INSERT INTO alias VALUES ('jo@example.org', 'jo@host.example', 1);
INSERT INTO alias VALUES ('two@example.org', 'a@host.example', 1);
INSERT INTO alias VALUES ('two@example.org', 'b@host.example', 1);
INSERT INTO alias VALUES ('off@example.org', 'x@host.example', 0);
INSERT INTO alias VALUES ('o''brien@example.org', 'ob@host.example', 1);
INSERT INTO alias VALUES ('null@example.org', NULL, 1);
INSERT INTO alias VALUES ('empty@example.org', '', 1);
INSERT INTO alias VALUES ('mixed@example.org', '', 1);
INSERT INTO alias VALUES ('mixed@example.org', 'm@host.example', 1);
INSERT INTO alias VALUES ('plain@example.org', 'justuser', 1);
INSERT INTO alias VALUES ('jürgen@example.org', 'jürgen@host.example', 1);
INSERT INTO alias VALUES ('100%@example.org', 'percent@host.example', 1);
INSERT INTO alias VALUES ('@example.net', 'all@host.example', 1);
INSERT INTO alias VALUES ('root', 'admin@host.example', 1);
CREATE TABLE dom (name varchar(200), target varchar(200));
INSERT INTO dom VALUES ('example.com', 'example.org');
SQL
  sed 's/\\/\\\\/g' "$D/rows.sql" > "$D/rows.my"
  echo "INSERT INTO alias VALUES ('back\\slash@example.org', 'bs@host.example', 1);" >> "$D/rows.sql"
  echo "INSERT INTO alias VALUES ('back\\\\slash@example.org', 'bs@host.example', 1);" >> "$D/rows.my"
  { echo "CREATE USER mail PASSWORD 'se;cret#1'; CREATE DATABASE maildb OWNER mail;"; } | pg_sql "$PGP"
  { echo "SET client_encoding='UTF8';"; cat "$D/rows.sql"; echo "GRANT SELECT ON alias, dom TO mail; CREATE FUNCTION who(text) RETURNS text LANGUAGE sql AS 'SELECT target FROM alias WHERE address = \$1';"; } | pg_sql "$PGP" maildb
  { echo "CREATE DATABASE maildb CHARACTER SET utf8mb4; CREATE USER mail@localhost IDENTIFIED BY 'se;cret#1', mail@127.0.0.1 IDENTIFIED BY 'se;cret#1'; GRANT ALL ON maildb.* TO mail@localhost; GRANT ALL ON maildb.* TO mail@127.0.0.1; USE maildb; SET NAMES utf8mb4;"; cat "$D/rows.my"
    printf 'DELIMITER //\nCREATE PROCEDURE who(k varchar(200)) BEGIN SELECT target FROM alias WHERE address = k; END//\nCREATE PROCEDURE quiet(k varchar(200)) BEGIN SET @x = k; END//\n'; } | maria_sql maria
  sqlite3 "$D/maildb" < "$D/rows.sql"
}
teardown_file() { read -r p m < "$D/pids"; stop "$p" INT; stop "$m"; }
setup() { common_setup; }
teardown() { common_teardown; }

# cf KIND NAME [LINE...]: $T/NAME.cf for that data base
cf() {
  local kind=$1 name=$2; shift 2
  case $kind in
    sqlite) echo "dbpath = $D/maildb" ;;
    pgsql) printf '%s\n' "hosts = inet:127.0.0.1:$PGP" "user = mail" "password = se;cret#1" "dbname = maildb" ;;
    mysql) printf '%s\n' "hosts = 127.0.0.1:$MYP" "user = mail" "password = se;cret#1" "dbname = maildb" ;;
  esac > "$T/$name.cf"
  printf '%s\n' "$@" >> "$T/$name.cf"
}
# ours KIND NAME KEY, theirs KIND NAME KEY: "STATUS value"
ours() { local s=0 v; v=$(mx-submit --lookup "$1:$T/$2.cf" -- "$3" 2>"$T/err") || s=$?; echo "$s $v"; }
theirs() { local s=0 v; v=$(postmap -q "$3" "$1:$T/$2.cf" 2>/dev/null) || s=$?; echo "$s $v"; }
is() { [ "$1" = "$2" ] || { printf 'got:    %s\nwanted: %s\n%s\n' "$1" "$2" "$(cat "$T/err" 2>/dev/null)"; return 1; }; }
# same KIND NAME KEY...: ours and postmap's answers to all of them agree
same() {
  local kind=$1 name=$2; shift 2
  printf '%s\n' "$@" > "$T/keys"
  mx-submit --lookup "$kind:$T/$name.cf" - < "$T/keys" > "$T/ours" 2> "$T/err" || [ $? -eq 1 ] || { cat "$T/err"; return 1; }
  postmap -q - "$kind:$T/$name.cf" < "$T/keys" > "$T/theirs" 2> "$T/theirs.err" || true
  ! grep -v 'empty lookup result' "$T/theirs.err" || return 1
  # postmap prints keys in lower case
  sed -i 's/^JO@Example.ORG/jo@example.org/' "$T/ours"; sed -i 's/^JO@Example.ORG/jo@example.org/' "$T/theirs"
  diff "$T/ours" "$T/theirs" || { cat "$T/$name.cf"; return 1; }
}
keys=(jo@example.org JO@Example.ORG two@example.org off@example.org "o'brien@example.org" null@example.org empty@example.org
  mixed@example.org plain@example.org 100%@example.org @example.net root nobody@example.org jo@ @ "x' or '1'='1" "x\\' or 1=1 -- "
  'x"y@example.org' a@b@example.org jo@example.com jo@sub.mail.example.org "back\\slash@example.org" .)

templates() {
  local kind=$1
  cf "$kind" s "query = SELECT target FROM alias" "  WHERE address = '%s'" "  # a comment" "  AND active = 1"
  same "$kind" s "${keys[@]}"
  is "$(ours "$kind" s "two@example.org")" "0 a@host.example,b@host.example"
  is "$(ours "$kind" s "jürgen@example.org")" "0 jürgen@host.example"
  is "$(ours "$kind" s $'j\xfcrgen@example.org')" "1 "
  case $kind in
    mysql) cf "$kind" ud "query = SELECT alias.target FROM alias, dom WHERE dom.name = '%d' AND alias.address = concat('%u', '@', dom.target)" ;;
    *) cf "$kind" ud "query = SELECT alias.target FROM alias, dom WHERE dom.name = '%d' AND alias.address = '%u' || '@' || dom.target" ;;
  esac
  same "$kind" ud "${keys[@]}"
  is "$(ours "$kind" ud jo@example.com)" "0 jo@host.example"
  cf "$kind" n "query = SELECT '%2-%1-%%-%U-%D-%S' FROM dom WHERE name = 'example.com'"
  same "$kind" n "${keys[@]}"
  is "$(ours "$kind" n "o'x@sub.mail.example.org")" "0 example-org-%-o'x-sub.mail.example.org-o'x@sub.mail.example.org"
  cf "$kind" old "table = alias" "select_field = target" "where_field = address" "additional_conditions = and active = '1'"
  same "$kind" old "${keys[@]}"
  cf "$kind" cols "query = SELECT address, target, active FROM alias WHERE address = '%s'"
  same "$kind" cols "${keys[@]}"
  [ "$kind" = sqlite ] || is "$(ours "$kind" cols jo@example.org)" "0 jo@example.org,jo@host.example,1"
}

formats() {
  local kind=$1 q="query = SELECT target FROM alias WHERE address = '%s'" f
  for f in 'smtp:[%s]' '%d' '%u' '%u at %d %% %%s' '%S>%s' '%U/%D/%1' '%3'; do
    cf "$kind" f "$q" "result_format = $f"
    same "$kind" f "${keys[@]}"
  done
  cf "$kind" f "$q" "result_format = smtp:[%d]:%U"
  is "$(ours "$kind" f two@example.org)" "0 smtp:[host.example]:two,smtp:[host.example]:two"
  cf "$kind" l "$q" "expansion_limit = 1"
  same "$kind" l jo@example.org mixed@example.org
  is "$(ours "$kind" l two@example.org)" "75 "
  grep -q "more values than expansion_limit = 1" "$T/err"
  printf 'example.org yes\n' > "$T/doms"
  cf "$kind" d "$q" "domain = example.net, texthash:$T/doms"
  same "$kind" d jo@example.org root
  is "$(ours "$kind" d jo@example.org)" "0 jo@host.example"
  is "$(ours "$kind" d root)" "1 "
  is "$(ours "$kind" d @example.net)" "1 "
  cf "$kind" d "$q" "domain = example.net"
  is "$(ours "$kind" d jo@example.org)" "1 "
  cf "$kind" d "$q" "domain = texthash:/nonexistent"
  is "$(ours "$kind" d jo@example.org)" "75 "
}

@test "sqlite: templates as postmap reads them" { templates sqlite; }
@test "pgsql: templates as postmap reads them" { templates pgsql; }
@test "mysql: templates as postmap reads them" { templates mysql; }
@test "sqlite: result_format, expansion_limit, domain" { formats sqlite; }
@test "pgsql: result_format, expansion_limit, domain" { formats pgsql; }
@test "mysql: result_format, expansion_limit, domain" { formats mysql; }

@test "pgsql: select_function, URI, socket, encoding, several hosts" {
  cf pgsql f "select_function = who"
  same pgsql f jo@example.org none@example.org "o'brien@example.org"
  printf 'hosts = postgresql://mail:se%%3bcret%%231@127.0.0.1:%s/maildb\nquery = SELECT target FROM alias WHERE address = '"'%%s'"'\ndbname = x\n' "$PGP" > "$T/u.cf"
  same pgsql u jo@example.org none
  printf '%s\n' "hosts = unix:$D/pg:$PGP" "user = mail" "dbname = maildb" "query = SELECT target FROM alias WHERE address = '%s'" > "$T/s.cf"
  is "$(ours pgsql s jo@example.org)" "0 jo@host.example"
  cf pgsql e "encoding = LATIN1" "query = SELECT target FROM alias WHERE address = '%s'"
  is "$(ours pgsql e $'j\xfcrgen@example.org')" $'0 j\xfcrgen@host.example'
  cf pgsql h "query = SELECT target FROM alias WHERE address = '%s'"
  sed -i "s/^hosts.*/hosts = 127.0.0.1:$NOP, 127.0.0.1:$PGP inet:127.0.0.1:$NOP/" "$T/h.cf"
  for _ in 1 2 3 4; do is "$(ours pgsql h jo@example.org)" "0 jo@host.example"; done
}

@test "mysql: socket, procedures, option file, several hosts" {
  q="query = SELECT target FROM alias WHERE address = '%s'"
  cf mysql s "$q"; sed -i "s,^hosts.*,hosts = unix:$D/maria/s," "$T/s.cf"
  same mysql s jo@example.org none
  cf mysql p "query = CALL who('%s')"
  is "$(ours mysql p two@example.org)" "0 a@host.example,b@host.example"
  cf mysql p "query = CALL quiet('%s')"
  is "$(ours mysql p two@example.org)" "75 "
  cf mysql p "query = CALL quiet('%s')" "require_result_set = no"
  is "$(ours mysql p two@example.org)" "1 "
  printf '[client]\nuser=mail\npassword="se;cret#1"\n[other]\nuser=nobody\npassword=\n' > "$T/my.cnf"
  cf mysql o "$q" "option_file = $T/my.cnf"; sed -i '/^user\|^password/d' "$T/o.cf"
  is "$(ours mysql o jo@example.org)" "0 jo@host.example"
  cf mysql o "$q" "option_file = $T/my.cnf" "option_group = other"; sed -i '/^user\|^password/d' "$T/o.cf"
  is "$(ours mysql o jo@example.org)" "75 "
  cf mysql h "$q"; sed -i "s/^hosts.*/hosts = 127.0.0.1:$NOP inet:127.0.0.1:$MYP, unix:\/none/" "$T/h.cf"
  for _ in 1 2 3 4; do is "$(ours mysql h jo@example.org)" "0 jo@host.example"; done
}

@test "what cannot be told is never not found: away, wrong password, wrong query, no file" {
  for kind in pgsql mysql; do
    cf $kind a "query = SELECT target FROM alias WHERE address = '%s'"; sed -i "s/^hosts.*/hosts = 127.0.0.1:$NOP/" "$T/a.cf"
    is "$(ours $kind a jo@example.org)" "75 "
    grep -q "a.cf: 127.0.0.1: .*127.0.0.1" "$T/err" || { cat "$T/err"; false; }
    cf $kind a "query = SELECT nothing FROM alias WHERE address = '%s'"
    is "$(ours $kind a jo@example.org)" "75 "
    grep -qi nothing "$T/err"
  done
  cf mysql a "query = SELECT target FROM alias WHERE address = '%s'"; sed -i "s/^password.*/password = wrong/" "$T/a.cf"
  is "$(ours mysql a jo@example.org)" "75 "
  ! grep -q wrong "$T/err"
  cf sqlite a "query = SELECT target FROM alias WHERE address = '%s'"; sed -i "s,^dbpath.*,dbpath = $T/none," "$T/a.cf"
  is "$(ours sqlite a jo@example.org)" "75 "
  [ ! -e "$T/none" ]
  echo garbage, nothing else > "$T/none"
  is "$(ours sqlite a jo@example.org)" "75 "
}

@test "a careless query file: no key becomes SQL" {
  for kind in sqlite pgsql mysql; do
    cf $kind b "query = SELECT target FROM alias WHERE address = %s"
    is "$(ours $kind b jo@example.org)" "0 jo@host.example"
    is "$(ours $kind b "o'brien@example.org")" "0 ob@host.example"
    for evil in "'' or 1=1" "x' or '1'='1" "address" "1 or 1=1 --" "x\\' or 1=1 -- " 'x" or "1"="1'; do
      is "$kind $(ours $kind b "$evil")" "$kind 1 "
    done
    for bad in "SELECT 1 -- %s" "SELECT 1 /* %s */" "SELECT target FROM \`%s\`"; do
      [ "$kind $bad" = "pgsql SELECT target FROM \`%s\`" ] && continue
      cf $kind b "query = $bad"
      is "$(ours $kind b x)" "75 "
      grep -q "b.cf: query: \"%s\" stands in a " "$T/err"
    done
  done
  for bad in "SELECT target FROM alias WHERE address = E'%s'" 'SELECT target FROM "%s"' 'SELECT $$%s$$' 'SELECT $a$ $$%s$$ $a$' 'SELECT 1 /* /* */ %s */'; do
    cf pgsql b "query = $bad"
    is "$(ours pgsql b x)" "75 "
    grep -q '"%s" stands in a' "$T/err"
  done
  cf mysql b 'query = SELECT target FROM alias WHERE address = "%s"'
  is "$(ours mysql b "o'brien@example.org")" "0 ob@host.example"
  is "$(ours mysql b 'x" or "1"="1')" "1 "
  # two statements are none
  cf pgsql b "query = SELECT 1; SELECT target FROM alias WHERE address = '%s'"
  is "$(ours pgsql b x)" "75 "
}

@test "a wrong file is told with its name and what was expected" {
  bad() { local kind=$1 want=$2; shift 2; printf '%s\n' "$@" > "$T/w.cf"; is "$(ours "$kind" w x)" "75 " && { grep -qF "$want" "$T/err" || { cat "$T/err"; return 1; }; }; }
  bad sqlite "w.cf: dbpath is missing" "query = SELECT 1"
  bad pgsql "w.cf: dbname is missing" "query = SELECT 1"
  bad mysql "where_field is missing" "dbname = x" "table = a" "select_field = b"
  bad sqlite '"%q" is no variable of a query' "dbpath = /x" "query = SELECT '%q'"
  bad sqlite 'result_format' "dbpath = /x" "query = SELECT '%s'" "result_format = %x"
  bad sqlite 'expansion_limit' "dbpath = /x" "query = SELECT '%s'" "expansion_limit = many"
  bad sqlite 'w.cf:2' "dbpath = /x" "SELECT"
  run mx-submit --lookup pgsql:name x
  [ "$status" -eq 75 ]; [[ $output == *"expected pgsql:/PATH"* ]]
  cf sqlite w "query = SELECT '1'" "quary = x"
  is "$(ours sqlite w x)" "0 1"; grep -q '"quary" is no setting of a sqlite table' "$T/err"
  cf sqlite w "query = SELECT '1'"; chmod 666 "$T/w.cf"
  is "$(ours sqlite w x)" "0 1"; grep -q 'w.cf: everybody may write to it' "$T/err"
}

@test "no program links a client of a data base" {
  for p in "$MX_BIN"/*; do
    head -c 4 "$p" | grep -q ELF || continue
    ! objdump -p "$p" | grep -E 'NEEDED.*(libpq|maria|mysql|sqlite)'
  done
}
