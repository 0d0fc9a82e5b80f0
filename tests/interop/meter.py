"""An independent meter: the server of the package dlt645 on a free TCP port, with known values.

    meter.py ADDRESS FILE

Writes {DI: value as text} to FILE, prints `READY host port`, then `asked ADDRESS DI` for each request,
and ends when its standard input is closed. The digits behind the point are those of the package's
formats, so that a mistake in our own tables shows.
"""

import json
import sys
from datetime import date, datetime, time
from decimal import Decimal

from dlt645 import Demand, MeterServerService
from dlt645.common.transform import parse_format

VARIABLES = {
    "02010100": "220.1", "02010200": "0.0", "02010300": "799.9",
    "02020100": "1.234", "02020200": "-2.345", "02020300": "-799.999",
    "02030000": "-12.3456", "02030100": "1.5", "02030200": "-0.0002", "02030300": "79.9999",
    "02040000": "-1.5", "02040100": "0.5", "02040200": "0.25", "02040300": "0.0001",
    "02050000": "12.5", "02050100": "4.0001", "02050200": "4.0002", "02050300": "0",
    "02060000": "-1.000", "02060100": "0.998", "02060200": "-0.5", "02060300": "1",
    "02070100": "0.1", "02070200": "120.0", "02070300": "359.9",
    "02080100": "1.25", "02080200": "0.01", "02080300": "99.99",
    "02090100": "2.5", "02090200": "33.33", "02090300": "0",
    "020A0101": "99.99", "020A0215": "0.5", "020B0303": "3.03",
    "02800001": "-0.012", "02800002": "49.98", "02800003": "-3.0001", "02800004": "3.5",
    "02800005": "-0.75", "02800006": "4", "02800007": "-12.5", "02800008": "3.65",
    "02800009": "0.01", "0280000A": "12345678",
}
DEMANDS = {
    "01010000": ("12.3456", datetime(2026, 11, 20, 18, 30)),
    "01010100": ("0.0001", datetime(2026, 2, 28, 23, 59)),
    "01010001": ("79.9999", datetime(2026, 10, 31, 0, 0)),
    "01020000": ("1.5", datetime(2026, 11, 1, 9, 5)),
}
PHASES = (0x15, 0x16, 0x29, 0x2A, 0x3D, 0x3E)
SIGNED = (0x00, 0x03, 0x04)


def energies():
    """Each kind with its total and four tariffs, one settlement, the phases; every value another."""
    for kind in range(0x0B):
        for tariff in range(5):
            value = Decimal((kind * 5 + tariff + 1) * 1_357_913 % 80_000_000) / 100
            negative = kind in SIGNED and tariff % 2 == 1
            yield kind << 16 | tariff << 8, -value if negative else value
        yield kind << 16 | 1, Decimal(kind * 1_234_567 + 1) / 100
    for place, kind in enumerate(PHASES):
        yield kind << 16, Decimal(place * 9_876_543 + 5) / 100
    # Later ones count: every digit a nine, the largest minus, and nothing.
    yield 0x00010000, Decimal("999999.99")
    yield 0x00000000, Decimal("-799999.99")
    yield 0x00020000, Decimal("0")


def fill(meter, address):
    """Gives the meter its values; what is to be read of it."""
    expected = {}

    def item(di):
        return meter.get_data_item(int(di, 16))

    def digits(di, value):
        decimals, _ = parse_format(item(di).data_format)
        return f"{Decimal(value):.{decimals}f}"

    # Not by its setters: their limits are narrower than the standard's.
    numbers = {f"{di:08X}": value for di, value in energies()} | VARIABLES
    for di, value in numbers.items():
        item(di).value = float(value)
        expected[di] = digits(di, value)
    for di, (value, at) in DEMANDS.items():
        item(di).value = Demand(float(value), at)
        expected[di] = f"{digits(di, value)} at {at:%Y-%m-%dT%H:%M}"
    day, now = date(2026, 11, 21), time(22, 30, 15)
    item("04000101").value = f"{day:%y%m%d}{day.isoweekday() % 7:02}"
    item("04000102").value = f"{now:%H%M%S}"
    item("04000401").value = address
    item("04000402").value = "990000000001"
    expected |= {"04000101": f"{day}", "04000102": f"{now}", "04000401": address, "04000402": "990000000001"}
    return expected


def tell(_connection, activity):
    """Says what was asked."""
    if activity.direction == "RX":
        frame = activity.frame
        di = bytes(frame.data[:4])[::-1].hex().upper()
        print("asked", bytes(frame.addr)[::-1].hex(), di, flush=True)


def main():
    address, file = sys.argv[1:]
    meter = MeterServerService.new_tcp_server("127.0.0.1", 0, 3600.0, on_activity=tell)
    # The package has addresses as they go over the line.
    meter.set_address(bytes.fromhex(address)[::-1])
    with open(file, "w", encoding="utf-8") as out:
        json.dump(fill(meter, address), out)
    if not meter.start():
        sys.exit("the meter cannot listen")
    print("READY", meter.server.ip, meter.server.port, flush=True)
    sys.stdin.read()


main()
