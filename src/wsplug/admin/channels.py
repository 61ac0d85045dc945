"""
The broker's channels, as operators see them and publish in them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from wsplug.admin.clients import clip
from wsplug.admin.messages import (
    ChannelInfo,
    ChannelList,
    ListChannels,
    PublishData,
    Published,
)
from wsplug.interfaces import IBroker, IListsChannels
from wsplug.jsonmessages import RequestRefused
from wsplug.networks import nameOfAddress

__all__ = ["ChannelsOfBroker"]


_MAX_NAME: Final = 1000
"""
Characters of a name that operators get.
"""


class ChannelsOfBroker:
    """
    Lists the channels, and publishes in them.
    """

    _log = Logger()

    def __init__(self, broker: Callable[[], IBroker | None]) -> None:
        """
        @param broker: returns the server's broker, if it has one.
        """
        self._broker = broker

    async def list(self, asked: ListChannels) -> ChannelList:
        """
        List channels.

        @raise RequestRefused: the broker can't list them.
        @raise BrokerError: the broker failed.
        """
        broker = self._broker()
        if not IListsChannels.providedBy(broker):
            raise RequestRefused("unavailable", "the broker doesn't list its channels")
        lister: IListsChannels = broker
        found = await lister.listChannels(asked.search, asked.limit)
        return ChannelList(
            channels=[
                ChannelInfo(
                    clip(each.name, _MAX_NAME), each.subscribers, each.kept, each.size
                )
                for each in found
            ],
            request=asked.request,
        )

    async def publish(self, asked: PublishData, operator: IAddress) -> Published:
        """
        Publish a text as it is.

        @raise RequestRefused: there is no broker.
        @raise BrokerError: the broker failed, or keeps nothing that large.
        """
        broker = self._broker()
        if broker is None:
            raise RequestRefused("unavailable", "the server has no broker")
        self._log.info(
            "{operator} publishes in {channel}",
            operator=nameOfAddress(operator),
            channel=asked.channel,
        )
        data = asked.data.encode("utf-8")
        made = await broker.publish(asked.channel, data, asked.store)
        return Published(
            channel=asked.channel, offset=made.offset, request=asked.request
        )
