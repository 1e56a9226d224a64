#!/usr/bin/env python3
"""GPS receivers on serial lines of their own: pseudo-terminals, with links in a folder of devices.

usage: receiver.py DEV SAY TERMINALS TCP

SAY/NAME says what the receiver on DEV/NAME sends each second; it is read again each second:
    KIND STATE [DELAY]
KIND is rmc, gga, zda or mix; STATE is one of
    good     a fix
    nofix    none
    nosum    without checksums
    badsum   with wrong ones
    behind   1024 weeks behind
    silent   nothing
    away     it is unplugged
Sentences end DELAY seconds (0.120) after the second that they name. TERMINALS is where the kernel has the terminals of pairs
(/dev/pts). What SAY/tcp says is sent to all that connect to 127.0.0.1, port TCP.
"""
import os, select, socket, sys, termios, time

DEV, SAY, TERMINALS, TCP = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])


def sentence(body, state):
    code = 0
    for character in body.encode():
        code ^= character
    if state == 'nosum':
        return '$%s\r\n' % body
    return '$%s*%02X\r\n' % (body, code ^ (state == 'badsum'))


def sentences(kind, state, second):
    t = time.gmtime(second - (1024 * 604800 if state == 'behind' else 0))
    clock, date, fix = time.strftime('%H%M%S.00', t), time.strftime('%d%m%y', t), state != 'nofix'
    place, active, course = ('4851.5000,N,00217.6600,E', 'A', '0.0,0.0') if fix else (',,,', 'V', ',')
    height, view = ('1,08,1.0,35.0,M,47.0,M,,', '3') if fix else ('0,00,99.9,,,,,,', '1')
    rmc = 'GPRMC,%s,%s,%s,%s,%s,,,%s' % (clock, active, place, course, date, 'A' if fix else 'N')
    gga = 'GNGGA,%s,%s,%s' % (clock, place, height)
    gsa = 'GNGSA,A,%s,01,02,03,04,,,,,,,,,1.0,1.0,1.0' % view
    zda = 'GPZDA,%s,%s,00,00' % (clock, time.strftime('%d,%m,%Y', t))
    bodies = {'rmc': [rmc], 'gga': [gga], 'zda': [zda], 'mix': [gsa, gga, rmc, zda]}[kind]
    return ''.join(sentence(body, state) for body in bodies)


class Line:
    def __init__(self, name):
        self.path, self.master, self.slave = os.path.join(DEV, name), None, None
        self.unplug()

    def plug(self):
        self.master, self.slave = os.openpty()
        os.set_blocking(self.master, False)
        settings = termios.tcgetattr(self.slave)
        settings[3] &= ~termios.ECHO
        termios.tcsetattr(self.slave, termios.TCSANOW, settings)
        os.symlink(os.path.join(TERMINALS, os.path.basename(os.ttyname(self.slave))), self.path)

    def unplug(self):
        if os.path.islink(self.path):
            os.unlink(self.path)
        for end in (self.master, self.slave):
            if end is not None:
                os.close(end)
        self.master = self.slave = None

    def send(self, data):
        try:
            os.write(self.master, data)
        except OSError:
            pass  # nobody reads it


def words(name):
    try:
        with open(os.path.join(SAY, name)) as file:
            kind, state, *delay = file.read().split()
            return kind, state, float(delay[0]) if delay else 0.12
    except (OSError, ValueError):
        return None


lines, clients = {}, []
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(('127.0.0.1', TCP))
server.listen()
while True:
    second = int(time.time()) + 1
    due = []
    for name in sorted(os.listdir(SAY)):
        said = words(name)
        if said is None:
            continue
        kind, state, delay = said
        if name != 'tcp':
            line = lines.get(name) or lines.setdefault(name, Line(name))
            if state == 'away':
                line.unplug()
            elif line.master is None:
                line.plug()
        if state not in ('silent', 'away'):
            due.append((delay, name, sentences(kind, state, second).encode()))
    for delay, name, data in sorted(due):
        while True:
            wait = second + delay - time.time()
            if wait <= 0:
                break
            if select.select([server], [], [], wait)[0]:
                client = server.accept()[0]
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients.append(client)
        if name != 'tcp':
            lines[name].send(data)
            continue
        for client in clients[:]:
            try:
                client.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except OSError:
                clients.remove(client)
    time.sleep(max(0, second + 0.3 - time.time()))
