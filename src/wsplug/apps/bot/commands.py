"""
The bundled commands. A drop-in registers them, as it does others.
"""

from __future__ import annotations

from datetime import datetime

from wsplug.apps.bot.decorators import command
from wsplug.apps.bot.names import visitorName
from wsplug.apps.bot.vocabulary import findCommand, wordsOf
from wsplug.apps.bot.zones import momentIn
from wsplug.clocks import timeOfDay
from wsplug.interfaces import IConversation

__all__ = ["age", "bye", "date", "hello", "help", "hi", "name", "thanks", "time"]


def _visitor(conversation: IConversation) -> str:
    return conversation.visitor or "human"


def _now(conversation: IConversation) -> datetime:
    seconds = timeOfDay(conversation.services.clock)
    return momentIn(conversation.options["zone"], seconds)


@command("hello", help="Says hello.")
def hello(arguments: str, conversation: IConversation) -> str:
    return f"Hello, {_visitor(conversation)}!"


@command("hi", "hey", help="Says hello as friends do.")
def hi(arguments: str, conversation: IConversation) -> str:
    return f"What's up, {_visitor(conversation)}?"


@command("name", help="Tells my name. Tell me yours: name Ann")
def name(arguments: str, conversation: IConversation) -> str:
    if not arguments:
        return f"My name is {conversation.options['name']}. Yours? Type: name Ann"
    name = visitorName(arguments)
    if not name:
        return "I can't pronounce that. Type it with letters: name Ann"
    conversation.visitor = name
    return f"Nice to meet you, {name}."


@command("age", help="Tells my age.")
def age(arguments: str, conversation: IConversation) -> str:
    return f"I am {conversation.options['age']}."


@command("date", help="Tells today's date, as the server has it.")
def date(arguments: str, conversation: IConversation) -> str:
    return f"Today is {_now(conversation):%Y-%m-%d}."


@command("time", help="Tells the time, as the server has it.")
def time(arguments: str, conversation: IConversation) -> str:
    return f"The server's time is {_now(conversation):%H:%M:%S %Z}."


@command("thanks", "thank", "thx", help="Takes your thanks.")
def thanks(arguments: str, conversation: IConversation) -> str:
    return "You're welcome."


@command("bye", "quit", help="Says goodbye, and closes the connection.")
def bye(arguments: str, conversation: IConversation) -> str:
    conversation.close()
    return f"Bye, {_visitor(conversation)}. Come back soon!"


@command("help", "?", help="Tells what I answer to. One in detail: help name")
def help(arguments: str, conversation: IConversation) -> str:
    commands = conversation.commands
    if not arguments:
        lines = [f"{words[0]}: {each.help}" for words, each in wordsOf(commands)]
        return "\n".join(["I answer to:", *lines])
    asked = findCommand(commands, arguments.split()[0])
    for words, each in wordsOf(commands):
        if each is asked:
            others = f" ({', '.join(words[1:])} too)" if words[1:] else ""
            return f"{words[0]}{others}: {each.help}"
    return f"I don't know {arguments}. Type help to see what I know."
