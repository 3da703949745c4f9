"""Speech with the real espeak-ng: intelligible, once per text, and never the reason that a warning is withheld."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import shutil
import stat
import wave
from pathlib import Path

import pytest

from gateway.model.dispatch import Audio
from gateway.speech import Announcer, CannotSpeak, Espeak, Media, NoSpeech, open_speech
from gateway.speech.recordings import Recordings

WARNING = "铁西区气象台发布暴雨红色预警。请低洼地区群众立即转移。"
URL = "http://127.0.0.1:8080/api/v1/media"

needs_espeak = pytest.mark.skipif(
    shutil.which("espeak-ng") is None and os.environ.get("STRICT") != "1", reason="espeak-ng is not installed"
)


def tone(seconds: float = 0.5) -> bytes:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(b"\x10\x20" * int(8_000 * seconds))
    return sound.getvalue()


def program(folder: Path, script: str) -> str:
    """A stand-in for espeak-ng: what happens with a program that misbehaves."""
    path = folder / "espeak-ng-stand-in"
    path.write_text("#!/bin/sh\n" + script, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def contents(audio: Audio) -> bytes:
    return Path(audio.path).read_bytes()


def lose(audio: Audio) -> None:
    Path(audio.path).unlink()


VOICES = """
case "$*" in
*--version*) echo "eSpeak NG text-to-speech: 1.51  Data at: /nowhere"; exit 0;;
*--voices*) echo "Pty Language"; echo " 5  cmn  x"; echo " 5  cmn-latn-pinyin x"; exit 0;;
"""


class Counting:
    """An engine that counts how often it is asked, and can be held."""

    name, manner = "counting", "plain"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go = asyncio.Event()
        self.problem: Exception | None = None

    def voice(self, language: str) -> str | None:
        return "v" if language.startswith("zh") else None

    async def speak(self, text: str, voice: str) -> bytes:
        self.asked.append(text)
        await self.go.wait()
        if self.problem:
            raise self.problem
        return tone()


@pytest.fixture
def engine() -> Counting:
    engine = Counting()
    engine.go.set()
    return engine


@pytest.fixture
def announcer(engine: Counting, tmp_path: Path) -> Announcer:
    return Announcer(engine, Media(tmp_path / "media", URL), Recordings(None), max_chars=100)


@needs_espeak
async def test_a_mandarin_warning_is_spoken_by_a_voice_without_english_phonemes(tmp_path: Path) -> None:
    espeak = await Espeak.start()
    voice = espeak.voice("zh-CN")
    assert voice in ("cmn-latn-pinyin", "cmn")
    probe = await asyncio.create_subprocess_exec(
        espeak.program, "-q", "-x", "-v", voice, "-b", "1", "--stdin",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    phonemes, _ = await probe.communicate(WARNING.encode())
    assert b"(en)" not in phonemes
    assert b"p'Au51" in phonemes  # 暴


@needs_espeak
async def test_the_sound_file_is_named_by_its_hash_and_has_its_true_length(tmp_path: Path) -> None:
    speech = await open_speech(tmp_path / "media", URL + "/")
    audio = await speech.say(WARNING, "zh-CN")
    assert audio is not None
    content = contents(audio)
    assert hashlib.sha256(content).hexdigest() == audio.sha256
    assert audio.url == f"{URL}/{audio.sha256}.wav"
    assert Path(audio.path) == tmp_path / "media" / f"{audio.sha256}.wav"
    with wave.open(io.BytesIO(content)) as file:
        samples = file.readframes(file.getnframes() + 1)
        assert len(samples) == file.getnframes() * 2
        assert audio.seconds == pytest.approx(len(samples) / 2 / file.getframerate())
    assert 4 < audio.seconds < 20
    assert max(samples) > 0
    assert speech.state.available
    assert "普通话" in speech.state.zh


@needs_espeak
async def test_text_is_never_taken_for_phonemes_options_or_markup(tmp_path: Path) -> None:
    espeak = await Espeak.start()
    voice = espeak.voice("en-US")
    assert voice == "en-us"
    plain = await espeak.speak("[[h@l'oU]]", voice)
    spelled = await espeak.speak("[ [h@l'oU]]", voice)
    assert plain == spelled
    assert len(await espeak.speak("--help", voice)) > 10_000
    assert len(await espeak.speak("rain\0 heavy rain", voice)) > len(await espeak.speak("rain", voice))


@needs_espeak
async def test_languages_find_their_voices(tmp_path: Path) -> None:
    espeak = await Espeak.start()
    assert espeak.voice("zh-Hans-CN") == espeak.voice("zh") == espeak.voice("cmn")
    assert espeak.voice("zh-HK") == espeak.voice("yue") == "yue"
    assert espeak.voice("en") in ("en", "en-gb", "en-us")
    assert espeak.voice("ko-KR") == "ko"
    assert espeak.voice("ug") == "ug"
    assert espeak.voice("xx-Latn") is None


async def test_a_voice_that_reads_hanzi_as_english_is_refused(tmp_path: Path) -> None:
    stand_in = program(tmp_path, VOICES + """*) cat >/dev/null; echo " (en)kI55NTr'i:55_|";;\nesac\n""")
    espeak = await Espeak.start(stand_in)
    assert espeak.voice("zh-CN") is None
    speech = await open_speech(tmp_path / "media", URL, program=stand_in)
    assert await speech.say(WARNING, "zh-CN") is None
    assert not speech.state.available
    assert "普通话" in speech.state.zh


async def test_the_first_intelligible_voice_is_taken(tmp_path: Path) -> None:
    script = VOICES + """*pinyin*) cat >/dev/null; exit 1;;\n*) cat >/dev/null; echo "tS;h'i21N_|";;\nesac\n"""
    espeak = await Espeak.start(program(tmp_path, script))
    assert espeak.voice("zh-CN") == "cmn"


async def test_a_program_that_hangs_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    stand_in = program(
        tmp_path, VOICES + f"""*-q*) cat >/dev/null; echo "x";;\n*) echo $$ > {pid}; exec sleep 60;;\nesac\n"""
    )
    espeak = await Espeak.start(stand_in, timeout=1.0)
    with pytest.raises(CannotSpeak, match="longer than 1 s"):
        await espeak.speak(WARNING, "cmn")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


async def test_a_request_that_is_cancelled_leaves_no_program_running(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    stand_in = program(
        tmp_path, VOICES + f"""*-q*) cat >/dev/null; echo "x";;\n*) echo $$ > {pid}; exec sleep 60;;\nesac\n"""
    )
    espeak = await Espeak.start(stand_in, timeout=30)
    speaking = asyncio.create_task(espeak.speak(WARNING, "cmn"))
    async with asyncio.timeout(20):
        while not (pid.exists() and pid.read_text().strip()):
            await asyncio.sleep(0.01)
    speaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await speaking
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize("output", ["echo nonsense", "printf RIFFxxxxWAVE", "exit 3"])
async def test_an_engine_that_gives_no_sound_lets_the_text_go_out(tmp_path: Path, output: str) -> None:
    stand_in = program(
        tmp_path, VOICES + f"""*-q*) cat >/dev/null; echo "x";;\n*) cat >/dev/null; {output};;\nesac\n"""
    )
    speech = await open_speech(tmp_path / "media", URL, program=stand_in)
    assert speech.state.available
    assert await speech.say(WARNING, "zh-CN") is None
    assert not speech.state.available


async def test_one_text_is_spoken_once_even_if_many_ask_at_the_same_time(
    announcer: Announcer, engine: Counting
) -> None:
    engine.go.clear()
    asking = [asyncio.create_task(announcer.say(WARNING, "zh-CN")) for _ in range(20)]
    while not engine.asked:
        await asyncio.sleep(0.001)
    engine.go.set()
    answers = await asyncio.gather(*asking)
    assert engine.asked == [WARNING]
    assert len({answer.sha256 for answer in answers if answer}) == 1


async def test_one_who_stops_waiting_does_not_take_the_sound_from_the_others(
    announcer: Announcer, engine: Counting
) -> None:
    engine.go.clear()
    impatient, patient = (asyncio.create_task(announcer.say(WARNING, "zh-CN")) for _ in range(2))
    while not engine.asked:
        await asyncio.sleep(0.001)
    impatient.cancel()
    engine.go.set()
    assert await patient is not None
    assert engine.asked == [WARNING]


async def test_a_text_spoken_before_the_restart_is_not_spoken_again(engine: Counting, tmp_path: Path) -> None:
    first = await Announcer(engine, Media(tmp_path, URL), Recordings(None)).say(WARNING, "zh-CN")
    second = await Announcer(engine, Media(tmp_path, URL), Recordings(None)).say(WARNING, "zh-CN")
    assert first == second
    assert engine.asked == [WARNING]


async def test_other_words_or_another_manner_are_another_sound(announcer: Announcer, engine: Counting) -> None:
    await announcer.say("暴雨", "zh-CN")
    await announcer.say("大风", "zh-CN")
    engine.manner = "fast"
    await announcer.say("暴雨", "zh-CN")
    assert engine.asked == ["暴雨", "大风", "暴雨"]


async def test_a_lost_sound_file_is_made_again(announcer: Announcer, engine: Counting) -> None:
    audio = await announcer.say(WARNING, "zh-CN")
    assert audio is not None
    lose(audio)
    assert await announcer.say(WARNING, "zh-CN") == audio
    assert contents(audio) == tone()
    assert len(engine.asked) == 2


async def test_what_cannot_be_spoken_goes_out_as_text(announcer: Announcer, engine: Counting) -> None:
    assert await announcer.say("长" * 101, "zh-CN") is None
    assert await announcer.say(" \n", "zh-CN") is None
    assert await announcer.say("storm", "xx") is None
    assert engine.asked == []
    assert announcer.state.available


@pytest.mark.parametrize("problem", [CannotSpeak("hoarse"), RuntimeError("bug")])
async def test_an_engine_that_fails_is_no_error_and_recovers(
    announcer: Announcer, engine: Counting, problem: Exception
) -> None:
    engine.problem = problem
    assert await announcer.say(WARNING, "zh-CN") is None
    assert not announcer.state.available
    engine.problem = None
    assert await announcer.say(WARNING, "zh-CN") is not None
    assert announcer.state.available


async def test_closing_stops_what_is_being_spoken(announcer: Announcer, engine: Counting) -> None:
    engine.go.clear()
    asking = asyncio.create_task(announcer.say(WARNING, "zh-CN"))
    while not engine.asked:
        await asyncio.sleep(0.001)
    await announcer.aclose()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_recorded_voice_goes_before_the_engine_and_needs_none(engine: Counting, tmp_path: Path) -> None:
    (tmp_path / "flood.txt").write_text("请立即\n 转移到高处。\n", encoding="utf-8-sig")
    (tmp_path / "flood.wav").write_bytes(tone(2.0))
    (tmp_path / "lonely.txt").write_text("没有声音。", encoding="utf-8")
    with_engine = Announcer(engine, Media(tmp_path / "a", URL), Recordings(tmp_path))
    audio = await with_engine.say("请立即转移到高处。", "zh-CN")
    assert audio is not None
    assert audio.seconds == pytest.approx(2.0)
    assert engine.asked == []
    without = await open_speech(tmp_path / "b", URL, program="no-such-program", recordings=tmp_path)
    assert not without.state.available
    assert "1" in without.state.en
    again = await without.say("请立即 转移到高处。", "zh-CN")
    assert again is not None
    assert again.sha256 == audio.sha256
    assert await without.say("没有声音。", "zh-CN") is None


async def test_without_an_engine_every_text_goes_out_and_the_state_says_why(tmp_path: Path) -> None:
    speech = await open_speech(tmp_path, URL, program="no-such-program")
    assert isinstance(speech, NoSpeech)
    assert await speech.say(WARNING, "zh-CN") is None
    assert not speech.state.available
    assert "no-such-program" in speech.state.zh
    assert "文字将直接发往终端" in speech.state.zh
    switched_off = await open_speech(tmp_path, URL, off=True)
    assert "配置" in switched_off.state.zh


def test_sound_files_that_nobody_asked_for_are_removed(tmp_path: Path) -> None:
    media = Media(tmp_path, URL, keep_days=1)
    old, used = media.store("a" * 64, tone(0.1)), media.store("b" * 64, tone(0.2))
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    assert media.find("b" * 64) == used
    media.store("c" * 64, tone(0.3))
    assert not Path(old.path).exists()
    assert Path(used.path).exists()
    assert media.find("a" * 64) is None


def test_only_sound_is_stored(tmp_path: Path) -> None:
    media = Media(tmp_path / "media", URL)
    with pytest.raises(CannotSpeak, match="not a WAV"):
        media.store("a" * 64, b"<html>")
    with pytest.raises(CannotSpeak, match="single sample"):
        media.store("a" * 64, tone(0))
    assert not (tmp_path / "media").exists()
