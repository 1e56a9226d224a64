//! System calls: clock, sockets, interfaces, privileges, signals. The only layer with `unsafe`.
