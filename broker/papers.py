"""The words on a phone's papers, language by language; the steps stand in broker/steps/.

Rule 1: only what a person reads is here. Keys, topics and commands are the same in each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_STEPS = Path(__file__).parent / "steps"


@dataclass(frozen=True, slots=True)
class Papers:
    """What stands on them: the head and the comments of the settings, their lines for a code, and names for an app."""

    head: str
    comments: Mapping[str, str]  # by key
    spoken: str
    no_door: str
    leaves: Mapping[str, str]  # what a topic is to a person
    authority: str
    about: str


PAPERS: dict[str, Papers] = {
    "en": Papers(
        head="The settings of {name}. Whoever has them is {name} to the broker.",
        comments={
            "host": "the broker",
            "port": "MQTT over TLS",
            "tls": "and its certificate is verified with ca_file",
            "client_id": "fixed; the broker gives this one whatever the app says",
            "clean_session": "so that alerts wait while the phone sleeps",
            "qos": "of each subscription",
            "topics": "to subscribe to",
        },
        spoken="host {host}\nport {port} TLS\nuser {user}\npassword {password}\nclient id {user}\n"
               "clean session off, QoS 1\nkeepalive {keepalive_s}",
        no_door="(no door yet)",
        leaves={"alert": "alert", "status": "status"},
        authority="Doorstep: the broker's authority",
        about="Lets apps verify the broker of this house. It can vouch for this house's names and addresses only.",
    ),
    "de": Papers(
        head="Die Einstellungen von {name}. Wer sie hat, ist für den Broker {name}.",
        comments={
            "host": "der Broker",
            "port": "MQTT über TLS",
            "tls": "und sein Zertifikat wird mit ca_file geprüft",
            "client_id": "fest; der Broker vergibt diese, was auch immer die App sagt",
            "clean_session": "damit Meldungen warten, während das Telefon schläft",
            "qos": "jedes Abonnements",
            "topics": "zu abonnieren",
        },
        spoken="Host {host}\nPort {port} TLS\nBenutzer {user}\nPasswort {password}\nClient-ID {user}\n"
               "Clean Session aus, QoS 1\nKeepalive {keepalive_s}",
        no_door="(noch keine Tür)",
        leaves={"alert": "Meldungen", "status": "Status"},
        authority="Doorstep: die Zertifizierungsstelle des Brokers",
        about="Damit prüfen Apps den Broker dieses Hauses. Sie gilt nur für Namen und Adressen dieses Hauses.",
    ),
    "fr": Papers(
        head="Les réglages de {name}. Quiconque les possède est {name} pour le broker.",
        comments={
            "host": "le broker",
            "port": "MQTT sur TLS",
            "tls": "et son certificat est vérifié avec ca_file",
            "client_id": "fixe ; le broker attribue celui-ci quoi que dise l'application",
            "clean_session": "pour que les alertes attendent pendant que le téléphone dort",
            "qos": "de chaque abonnement",
            "topics": "auxquels s'abonner",
        },
        spoken="hôte {host}\nport {port} TLS\nutilisateur {user}\nmot de passe {password}\nidentifiant client {user}\n"
               "Clean Session désactivé, QoS 1\nkeepalive {keepalive_s}",
        no_door="(encore aucune porte)",
        leaves={"alert": "alertes", "status": "état"},
        authority="Doorstep : l'autorité du broker",
        about="Permet aux applications de vérifier le broker de cette maison ; ne vaut que pour ses noms et adresses.",
    ),
    "es": Papers(
        head="Los ajustes de {name}. Quien los tiene es {name} para el broker.",
        comments={
            "host": "el broker",
            "port": "MQTT sobre TLS",
            "tls": "y su certificado se comprueba con ca_file",
            "client_id": "fijo; el broker asigna este diga lo que diga la aplicación",
            "clean_session": "para que los avisos esperen mientras el teléfono duerme",
            "qos": "de cada suscripción",
            "topics": "a los que suscribirse",
        },
        spoken="servidor {host}\npuerto {port} TLS\nusuario {user}\ncontraseña {password}\n"
               "identificador de cliente {user}\nClean Session desactivado, QoS 1\nkeepalive {keepalive_s}",
        no_door="(todavía ninguna puerta)",
        leaves={"alert": "avisos", "status": "estado"},
        authority="Doorstep: la autoridad del broker",
        about="Permite a las aplicaciones comprobar el broker de esta casa; solo vale para sus nombres y direcciones.",
    ),
}


def steps(language: str) -> str:
    """Return how each app is set up, to be filled in."""
    return (_STEPS / f"{language}.txt").read_text(encoding="utf-8")
