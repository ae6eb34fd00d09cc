"""The alerts in other languages than English.

Rule 1: only what a person reads is translated; status words, event types and topics are the contract's, and English.
Rule 2: each has every phrase, which a test shows, and within a payload's size with the longest place.
Rule 3: the place comes first and a colon follows it, so that no article, case or gender has to fit the owner's words.
"""

from __future__ import annotations

import re

from device.config import Config
from device.tell.words import ENGLISH, Alert, Language, Words

GERMAN = Language({
    Alert.MOTION: "{place}: Bewegung",
    Alert.MOTION_KEEPS_ON: "{place}: weiterhin Bewegung",
    Alert.NO_CAMERA: "{place}: keine Kamera",
    Alert.CAMERA_BACK: "{place}: Kamera wieder da",
    Alert.VIEW_BLOCKED: "{place}: Sicht verdeckt",
    Alert.VIEW_CLEAR: "{place}: Sicht wieder frei",
    Alert.RECORDING: "{place}: Aufnahme läuft",
    Alert.RECORDING_FAILED: "{place}: Aufnahme fehlgeschlagen",
    Alert.NO_RECORDING: "{place}: keine Aufnahme möglich",
    Alert.RECORDING_POSSIBLE: "{place}: Aufnahme wieder möglich",
    Alert.WATCHING_PAUSED: "{place}: Überwachung pausiert",
    Alert.WATCHING_AGAIN: "{place}: Überwachung läuft wieder",
    Alert.STORAGE_LOW: "{place}: Speicher wird knapp",
    Alert.NO_BUTTON: "{place}: Aufnahmetaste ohne Funktion",
    Alert.BUTTON_BACK: "{place}: Aufnahmetaste geht wieder",
}, {
    Alert.NO_CAMERA: "{place}: kein Bewegungsmelder",
    Alert.CAMERA_BACK: "{place}: Bewegungsmelder wieder da",
}, ("vor weniger als einer Minute", "vor {n} min", "vor {n} h", "vor mehr als einem Tag"),
    {"motion": "Bewegung", "recording": "Aufnahme", "alert": "Meldung", "status": "Status"})

FRENCH = Language({
    Alert.MOTION: "{place} : mouvement",
    Alert.MOTION_KEEPS_ON: "{place} : le mouvement continue",
    Alert.NO_CAMERA: "{place} : plus de caméra",
    Alert.CAMERA_BACK: "{place} : caméra de retour",
    Alert.VIEW_BLOCKED: "{place} : vue masquée",
    Alert.VIEW_CLEAR: "{place} : vue dégagée",
    Alert.RECORDING: "{place} : enregistrement en cours",
    Alert.RECORDING_FAILED: "{place} : échec de l'enregistrement",
    Alert.NO_RECORDING: "{place} : enregistrement impossible",
    Alert.RECORDING_POSSIBLE: "{place} : enregistrement rétabli",
    Alert.WATCHING_PAUSED: "{place} : surveillance en pause",
    Alert.WATCHING_AGAIN: "{place} : surveillance reprise",
    Alert.STORAGE_LOW: "{place} : stockage presque plein",
    Alert.NO_BUTTON: "{place} : bouton d'enregistrement en panne",
    Alert.BUTTON_BACK: "{place} : bouton d'enregistrement rétabli",
}, {
    Alert.NO_CAMERA: "{place} : plus de détecteur",
    Alert.CAMERA_BACK: "{place} : détecteur de retour",
}, ("il y a moins d'une minute", "il y a {n} min", "il y a {n} h", "il y a plus d'un jour"),
    {"motion": "Mouvement", "recording": "Enregistrement", "alert": "Alerte", "status": "État"})

SPANISH = Language({
    Alert.MOTION: "{place}: movimiento",
    Alert.MOTION_KEEPS_ON: "{place}: sigue el movimiento",
    Alert.NO_CAMERA: "{place}: sin cámara",
    Alert.CAMERA_BACK: "{place}: la cámara vuelve a funcionar",
    Alert.VIEW_BLOCKED: "{place}: vista tapada",
    Alert.VIEW_CLEAR: "{place}: vista despejada",
    Alert.RECORDING: "{place}: grabando",
    Alert.RECORDING_FAILED: "{place}: la grabación ha fallado",
    Alert.NO_RECORDING: "{place}: no se puede grabar",
    Alert.RECORDING_POSSIBLE: "{place}: ya se puede grabar de nuevo",
    Alert.WATCHING_PAUSED: "{place}: vigilancia en pausa",
    Alert.WATCHING_AGAIN: "{place}: vigilancia reanudada",
    Alert.STORAGE_LOW: "{place}: queda poco espacio",
    Alert.NO_BUTTON: "{place}: el botón de grabar no funciona",
    Alert.BUTTON_BACK: "{place}: el botón de grabar ya funciona",
}, {
    Alert.NO_CAMERA: "{place}: sin detector",
    Alert.CAMERA_BACK: "{place}: el detector vuelve a funcionar",
}, ("hace menos de un minuto", "hace {n} min", "hace {n} h", "hace más de un día"),
    {"motion": "Movimiento", "recording": "Grabación", "alert": "Aviso", "status": "Estado"})

LANGUAGES: dict[str, Language] = {"en": ENGLISH, "de": GERMAN, "fr": FRENCH, "es": SPANISH}


def words_of(config: Config) -> Words:
    """Return all that the configured door can say."""
    return Words(config.id, config.place, LANGUAGES[config.language], sensor=not config.camera.has_picture)


def heard(text: str) -> tuple[Language, bool]:
    """Return the language of an alert's words, and whether they say how late it is; English where they are not ours."""
    for language in LANGUAGES.values():
        late = "|".join(re.escape(each).replace(r"\{n\}", r"\d{1,2}") for each in language.late)
        for phrase in (*language.phrases.values(), *language.sensor.values()):
            found = re.fullmatch(re.escape(phrase).replace(r"\{place\}", ".+?") + f"(, (?:{late}))?", text)
            if found:
                return language, found[1] is not None
    return ENGLISH, False
