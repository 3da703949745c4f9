"""Foreign implementations at the other end: smpplib as client of our simulator, node-smpp as centre of our channel.

The second runs where Node.js and its package `smpp` are installed (NODE_PATH, or `npm i -g smpp@0.5.1`), else it skips.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import smpplib.client
import smpplib.consts
import smpplib.gsm
from sms_rig import LONG, Rig, batch, eventually

from channels.sms.simulator import SmsCentre
from gateway.channel import Level

NODE_CENTRE = """
const smpp = require('smpp');
let count = 0;
const server = smpp.createServer((session) => {
  session.on('error', () => {});
  session.on('bind_transceiver', (pdu) => {
    session.send(pdu.response({ command_status: pdu.password === 'right' ? 0 : smpp.ESME_RINVPASWD }));
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { session.send(pdu.response()); session.close(); });
  session.on('submit_sm', (pdu) => {
    const id = (0xab000 + ++count);
    session.send(pdu.response({ message_id: id.toString(16).toUpperCase().padStart(10, '0') }));
    const text = pdu.short_message.message || pdu.message_payload.message;
    console.log(JSON.stringify({ to: pdu.destination_addr, text }));
    setTimeout(() => session.deliver_sm({
      source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4,
      short_message: `id:${id} sub:001 dlvrd:001 submit date:2607221430 done date:2607221430 stat:DELIVRD err:000 text:`,
    }), 100);
  });
});
server.listen(0, '127.0.0.1', function () { console.log('port ' + this.address().port); });
"""


def talk(port: int, text: str) -> tuple[list[str], list[str]]:
    """Bind with smpplib, send `text`, wait for all receipts. Returns ids in the answers and in the receipts."""
    sent: list[str] = []
    delivered: list[str] = []
    parts, coding, esm_class = smpplib.gsm.make_parts(text)
    client = smpplib.client.Client("127.0.0.1", port, timeout=10, allow_unknown_opt_params=True)
    client.set_message_sent_handler(lambda pdu: sent.append(pdu.message_id.decode()))

    def receive(pdu: Any) -> int:
        delivered.append(pdu.receipted_message_id.decode())
        assert b"stat:DELIVRD" in pdu.short_message
        return 0

    client.set_message_received_handler(receive)
    client.connect()
    try:
        client.bind_transceiver(system_id="gw", password="right")
        for part in parts:
            client.send_message(
                source_addr="12379", destination_addr="10000000001", short_message=part, data_coding=coding,
                esm_class=esm_class, registered_delivery=True,
            )  # fmt: skip
        while len(delivered) < len(parts):
            client.read_once()
        client.unbind()
    finally:
        client.disconnect()
    return sent, delivered


@pytest.mark.parametrize("text", ["plain words", "暴雨红色预警", LONG])
async def test_smpplib_sends_through_our_simulator_and_gets_its_receipts(text: str) -> None:
    async with SmsCentre(system_id="gw", password="right") as centre:
        sent, delivered = await asyncio.to_thread(talk, centre.port, text)
    assert sorted(sent) == sorted(delivered)
    assert [item["text"] for item in centre.received] == [text]
    assert centre.received[0]["address"] == "10000000001"


async def test_smpplib_is_refused_with_a_wrong_password() -> None:
    async with SmsCentre(system_id="gw", password="other") as centre:
        with pytest.raises(smpplib.exceptions.PDUError, match="Invalid Password"):
            await asyncio.to_thread(talk, centre.port, "x")


def has_node_smpp() -> bool:
    node = shutil.which("node")
    return node is not None and subprocess.run([node, "-e", "require('smpp')"], capture_output=True).returncode == 0


@pytest.mark.skipif(not has_node_smpp(), reason="Node.js with the package smpp is not installed")
@pytest.mark.parametrize(
    ("text", "long"), [("暴雨红色预警", "udh"), (LONG, "udh"), (LONG, "payload"), ("plain", "udh")]
)
async def test_our_channel_sends_through_node_smpp_and_reads_its_receipts(tmp_path: Path, text: str, long: str) -> None:
    """Answers in hexadecimal with zeros, receipts in decimal without TLVs."""
    rig = Rig(tmp_path)
    node = await asyncio.create_subprocess_exec("node", "-e", NODE_CENTRE, stdout=asyncio.subprocess.PIPE)
    assert node.stdout is not None
    try:
        port = int((await node.stdout.readline()).split()[1])
        settings = {"type": "sms", "port": port, "system_id": "gw", "password": "right", "long": long, "key_tlv": True}
        async with rig.sms(settings) as sms:
            told = await sms.send(batch(20, text))
            await eventually(lambda: len(rig.levels()) >= 20)
            shown = json.loads(await node.stdout.readline())["text"]
        assert shown == (text[:67] if text == LONG and long == "udh" else text)
        assert {receipt.level for receipt in told} == {Level.ACCEPTED}
        assert rig.levels() == {receipt.far_id: Level.DELIVERED for receipt in told}
    finally:
        node.kill()
        await node.wait()
        node._transport.close()  # type: ignore[attr-defined]
