#!/bin/bash
# Servers that DHCP tells, for as long as the lease is held: dhclient-script and NetworkManager source this file and
# call rsntpd_config and rsntpd_restore. PEERNTP=no in /etc/sysconfig/network or ifcfg-* turns it off. The mark at the
# end of a line is that of the ntp package's script, so that either takes away what the other left.

rsntpd_conf=${RSNTPD_CONF:-/etc/ntp.conf}
rsntpd_mark='# added by /sbin/dhclient-script'

# Takes the file's new text from standard input; owner, mode and label stay. Tells the daemon only of a change.
rsntpd_take() {
    local text
    # The point keeps empty lines at the end.
    text=$(cat; echo .) || return
    printf '%s' "${text%.}" | cmp -s - "$rsntpd_conf" && return
    printf '%s' "${text%.}" > "$rsntpd_conf"
    for rsntpd_service in rsntpd ntpd; do
        rsntpd_script=/etc/rc.d/init.d/$rsntpd_service
        if [ -d /run/systemd/system ]; then
            systemctl is-active --quiet $rsntpd_service.service && systemctl reload $rsntpd_service.service
        elif [ -e /var/lock/subsys/$rsntpd_service ] && [ -x $rsntpd_script ]; then $rsntpd_script reload
        fi > /dev/null 2>&1
    done
    return 0
}

rsntpd_config() {
    [ "$PEERNTP" = no ] && return
    [ -n "$new_ntp_servers" ] && [ -w "$rsntpd_conf" ] || return 0
    {
        grep -v "$rsntpd_mark\$" "$rsntpd_conf"
        for rsntpd_server in $new_ntp_servers; do
            # A name or an address, whatever the DHCP server says.
            case $rsntpd_server in *[!A-Za-z0-9.:_-]* | -*) continue ;; esac
            grep -v "$rsntpd_mark\$" "$rsntpd_conf" |
                awk -v s="$rsntpd_server" '$1 ~ /^(server|peer)$/ && $2 == s {found = 1} END {exit !found}' && continue
            echo "server $rsntpd_server  $rsntpd_mark"
        done
    } | rsntpd_take
}

rsntpd_restore() {
    [ -w "$rsntpd_conf" ] || return 0
    grep -v "$rsntpd_mark\$" "$rsntpd_conf" | rsntpd_take
}
