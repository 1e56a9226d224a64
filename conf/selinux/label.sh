#!/bin/bash
# Gives rsntpd the SELinux labels of ntpd, so that it runs confined; README.md beside this says more.
# usage: label.sh [--undo]
set -u
command -v semanage > /dev/null || { echo "label: semanage is missing (yum install policycoreutils-python or -python-utils)" >&2; exit 1; }
while read -r type path; do
    if [ "${1:-}" = --undo ]; then semanage fcontext -d "$path"
    else semanage fcontext -a -t "$type" "$path" 2> /dev/null || semanage fcontext -m -t "$type" "$path"; fi
done <<'END'
ntpd_exec_t /usr/sbin/rsntpd
ntpd_initrc_exec_t /etc/rc.d/init.d/rsntpd
ntpd_log_t /var/log/rsntpd\.log.*
ntpd_key_t /etc/ntp/nts(/.*)?
END
restorecon -v /usr/sbin/rsntpd /etc/rc.d/init.d/rsntpd
ls /var/log/rsntpd.log* > /dev/null 2>&1 && restorecon -v /var/log/rsntpd.log*
[ ! -d /etc/ntp/nts ] || restorecon -Rv /etc/ntp/nts
echo "label: done; restart rsntpd for it to count"
