"""Speech: a text becomes one sound file, once, for all the devices that will play it. `gateway.app` opens it at start.

`port` says what a speech engine is and what the rest of the house may ask; `espeak` is the engine that ships; `recordings`
are voices of people for set texts; `media` the folder of sound files that devices fetch; `announcer` puts them together.
Without an engine nothing is withheld: the text itself goes to the devices, and /readyz says so.
"""

from gateway.speech.announcer import Announcer, open_speech
from gateway.speech.espeak import Espeak
from gateway.speech.media import Media
from gateway.speech.port import CannotSpeak, Engine, NoSpeech, Speech, SpeechState

__all__ = ["Announcer", "CannotSpeak", "Engine", "Espeak", "Media", "NoSpeech", "Speech", "SpeechState", "open_speech"]
