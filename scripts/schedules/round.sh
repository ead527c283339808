#!/bin/sh
# One attempt at the present round, for cron or any other clock: quiet when all is well, loud when somebody has to act.
#
#   15 * * * *  ACTIVESEL_WORKSPACE=/data/line-4 /opt/activesel/round.sh        (a line of crontab -e)
#
# ACTIVESEL_WORKSPACE: the workspace. ACTIVESEL_TELL: a command that gets the message on stdin, such as
# "mail -s 'line 4' anna@plant"; without it the message goes to stderr, which cron mails by itself. ACTIVESEL: the
# program, if it is not on the PATH. Ends with 0 unless the machine or the settings are at fault.
set -u
workspace=${ACTIVESEL_WORKSPACE:?name the workspace in ACTIVESEL_WORKSPACE}
activesel=${ACTIVESEL:-activesel}
tell=${ACTIVESEL_TELL:-cat >&2}

message=$("$activesel" round run -w "$workspace" 2>&1)
code=$?
case $code in
  0) page=$("$activesel" round report -w "$workspace" 2>&1)
     printf 'The round is finished: %s\n' "$page" | sh -c "$tell" ;;
  8) # People have it: they are told once a day, not every hour.
     stamp=$workspace/.activesel/rounds/told
     if [ -z "$(find "$stamp" -mmin -1380 2>/dev/null)" ]; then
       printf '%s\n' "$message" | tail -n 1 | sh -c "$tell" && touch "$stamp"
     fi ;;
  4|5) printf 'A verdict stops the round:\n%s\n' "$message" | sh -c "$tell" ;;
  6|7) ;; # a disk, a server or the lock: the next attempt may do better
  *) printf 'The round fails with %s:\n%s\n' "$code" "$message" | sh -c "$tell"
     exit "$code" ;;
esac
exit 0
