#!/bin/sh
# Runs all tests, and remembers for which files they passed: a second run without a change repeats the result.
set -eu
python=$1
stamp=.build/tests-passed
mkdir -p .build
files=$( (git ls-files -z --cached --others --exclude-standard | sort -z | xargs -0 sha256sum; "$python" -m pip freeze) 2>/dev/null | sha256sum)
if [ -z "${AGAIN:-}" ] && [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$files" ]; then
    echo "Nothing has changed since these tests passed (make test AGAIN=1 runs them again):"
    tail -n +2 "$stamp"
    exit 0
fi
rm -f "$stamp"
log=.build/tests.log
rm -f "$log.ok"
# On all cores, as tests/scheduling.py says; tests of images and containers, which have names, one after another.
{
  "$python" -m pytest -q --numprocesses auto -m "not docker" --ignore tests/docker 2>&1 &&
    "$python" -m pytest -q -m docker tests/serving tests/deploy 2>&1 &&
    "$python" -m pytest -q tests/docker 2>&1 &&
    touch "$log.ok"
} | tee "$log"
if [ ! -f "$log.ok" ]; then exit 1; fi
rm -f "$log.ok"
{ echo "$files"; grep -E "^[0-9]+ passed" "$log"; } > "$stamp"
