"""An independent reader: the client of the package dlt645.

    reader.py tcp://HOST:PORT|DEVICE ADDRESS DI...

Prints {DI: value as text} and "address", as the meter gave it when asked for it (13H). A register that
cannot be read is null.
"""

import json
import sys
from datetime import datetime

from dlt645 import Demand, MeterClientService
from dlt645.common.transform import parse_format

TIMEOUT = 5.0


def connect(where):
    if where.startswith("tcp://"):
        host, port = where.removeprefix("tcp://").rsplit(":", 1)
        return MeterClientService.new_tcp_client(host, int(port), TIMEOUT)
    # A pseudo-terminal has no parity.
    return MeterClientService.new_rtu_client(where, 9600, 8, 1, "N", TIMEOUT)


def text(item):
    def digits(number):
        decimals, _ = parse_format(item.data_format)
        return f"{number:.{decimals}f}"

    if isinstance(item.value, Demand):
        # The package takes mm hh DD MM YY for YY MM DD hh mm.
        at = item.value.time
        minute, hour, day, month, year = at.year - 2000, at.month, at.day, at.hour, at.minute
        return f"{digits(item.value.value)} at 20{year:02}-{month:02}-{day:02}T{hour:02}:{minute:02}"
    if item.data_format == "YYMMDDWW":
        day = datetime.strptime(item.value[:6], "%y%m%d").date()
        return f"{day}" if int(item.value[6:]) == day.isoweekday() % 7 else f"wrong weekday: {item.value}"
    if item.data_format == "hhmmss":
        return f"{datetime.strptime(item.value, '%H%M%S').time()}"
    return item.value if isinstance(item.value, str) else digits(item.value)


def main():
    where, address, *dis = sys.argv[1:]
    client = connect(where)
    read = {0: client.read_00, 1: client.read_01, 2: client.read_02, 4: client.read_04}
    values = {}
    with client:
        client.read_address()
        values["address"] = bytes(client.address)[::-1].hex()
        # The package has addresses as they go over the line.
        client.address = bytearray(bytes.fromhex(address)[::-1])
        for di in dis:
            number = int(di, 16)
            item = read[number >> 24](number)
            # The package does not compare the identifier of an answer with the one asked.
            values[di] = text(item) if item is not None and item.di == number else None
    print(json.dumps(values))


main()
