"""Independent Modbus meters on one line: the server of the package pymodbus, with known values.

    modbus_server.py tcp|rtu-over-tcp|rtu FILE

FILE has a register a line, as the maker's map has it: which meter, by which functions it is read, its
address as it is sent, its type, which word comes first, its scale and unit, the value that the meter has;
and what is not looked at here: its name, and how that value reads in the catalogue's unit. Registers
without a name are those that the meter has and nobody asks for.

Prints `READY tcp://HOST:PORT` or `READY DEVICE`, then `refused UNIT FUNCTION EXCEPTION` for each request
that a meter refused, and ends when its standard input is closed.
"""

import asyncio
import csv
import os
import struct
import sys
import tty
from decimal import Decimal
from functools import partial

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

# Meters by their address: the parts of the file that each has.
METERS = {
    1: ["sdm630"],
    17: ["dtsu666", "dtsu666-101e"],
    18: ["dtsu666", "dtsu666-401e"],
    71: ["em24"],
    # Another model of the same maker answers at the same addresses.
    72: ["em24"],
}
IDENTIFICATION = {71: 71, 72: 1648}
# It answers zeros where it has no registers; the others refuse such requests.
ZEROS = {"sdm630"}
# Of one request, as its maker writes: so many registers, from an even address on.
MOST, ALIGN = {"sdm630": 80}, {"sdm630": 2}

NUMBERS = {"u16": "H", "i16": "h", "u32": "I", "i32": "i", "f32": "f"}
# An answer that comes before the request is out on a line of 9600 is another's: a meter takes longer.
RESPONSE = 0.02


def words(row):
    """The value as it stands in the registers."""
    kind, value = row["type"], row["value"]
    if kind == "text":
        octets = value.encode("ascii")
        octets += bytes(len(octets) % 2)
    else:
        counts = Decimal(value) / Decimal(row["scale"])
        whole = kind != "f32"
        if whole and counts != int(counts):
            sys.exit(f"{row['name']} cannot be {value}: it counts {row['scale']}")
        octets = struct.pack(f">{NUMBERS[kind]}", int(counts) if whole else float(counts))
    in_order = list(struct.unpack(f">{len(octets) // 2}H", octets))
    return in_order[::-1] if row["first_word"] == "low" else in_order


def registers(rows, zeros):
    """Holding and input registers; the code of Carlo Gavazzi's lies over another register, and is not here."""
    blocks = {"3": {}, "4": {}}
    for row in rows:
        at = int(row["address"], 16)
        for function in row["functions"].split() if row["name"] != "identification_code" else []:
            blocks[function].update(enumerate(words(row), at))
    for block in blocks.values() if zeros else []:
        block |= dict.fromkeys(range(max(block)), 0) | block
    return blocks


async def answer(unit, model, _function, start, address, count, block, values):
    """What a meter refuses beside addresses that it does not have."""
    if values is not None:
        return ExcCodes.ILLEGAL_FUNCTION
    if count > MOST.get(model, 125) or address % ALIGN.get(model, 1):
        return ExcCodes.ILLEGAL_VALUE
    if model == "em24" and address <= 0x000B < address + count:
        # The high word of a voltage, which is zero, unless it is asked for by itself.
        block[0x000B - start] = IDENTIFICATION[unit] if count == 1 else 0
    return None


def meter(unit, parts, rows):
    """A meter of pymodbus."""
    model = parts[0]
    blocks = registers([row for row in rows if row["meter"] in parts], model in ZEROS)
    unused = [[SimData(0, values=[False] * 16, datatype=DataType.BITS)] for _ in range(2)]
    held = [
        [SimData(at, values=word, datatype=DataType.REGISTERS) for at, word in sorted(block.items())]
        or [SimData(0, datatype=DataType.INVALID)]
        for block in blocks.values()
    ]
    return SimDevice(unit, simdata=(*unused, *held), action=partial(answer, unit, model))


def tell(sending, pdu):
    """Says what was refused."""
    if sending and pdu.isError():
        print("refused", pdu.dev_id, pdu.function_code & 0x7F, pdu.exception_code, flush=True)
    return pdu


def take_time(server):
    """Lets it answer as late as a meter does, refusals too."""
    connect = server.callback_new_connection

    def connect_slow():
        handler = connect()
        at_once = handler.handle_request

        async def in_time():
            await asyncio.sleep(RESPONSE)
            await at_once()

        handler.handle_request = in_time
        return handler

    server.callback_new_connection = connect_slow


def line():
    """Two pseudo-terminals that carry what is written to the one to the other; the devices of both."""
    ends = [os.openpty() for _ in range(2)]
    for (master, device), (other, _) in (ends, ends[::-1]):
        # It stays open here, so that the line is there before and between those who talk on it.
        tty.setraw(device)
        asyncio.get_running_loop().add_reader(
            master, lambda taken=master, given=other: os.write(given, os.read(taken, 1024))
        )
    return [os.ttyname(device) for _, device in ends]


async def main():
    """Serves until nobody listens any more."""
    transport, file = sys.argv[1:]
    with open(file, encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    meters = [meter(unit, parts, rows) for unit, parts in METERS.items()]
    if transport == "rtu":
        own, where = line()
        server = ModbusSerialServer(meters, port=own, baudrate=9600, trace_pdu=tell)
    else:
        framer = FramerType.SOCKET if transport == "tcp" else FramerType.RTU
        server = ModbusTcpServer(meters, address=("127.0.0.1", 0), framer=framer, trace_pdu=tell)
    take_time(server)
    await server.serve_forever(background=True)
    if transport != "rtu":
        host, port = server.transport.sockets[0].getsockname()
        where = f"tcp://{host}:{port}"
    print("READY", where, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.shutdown()


asyncio.run(main())
