"""What the documents hold, without the users' ids."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from windsock.mirror.documents import Profile
from windsock.mirror.id_lists import IdList, IdTally
from windsock.mirror.rows import ConfigurationRow

NOBODY: Final = IdList("", 0)


@dataclass(slots=True)
class Published:
    """The content of the documents, without the user ids.

    Attributes:
        profiles: The published part of each configuration.
        tallies: For each shard, how many users each configuration has, and the sum of their hashes.
    """

    profiles: dict[str, Profile] = field(default_factory=dict)
    tallies: dict[int, dict[str, IdTally]] = field(default_factory=lambda: defaultdict(dict))

    @property
    def assigned(self) -> int:
        """How many users have a profile."""
        return sum(tally.users for shard in self.tallies.values() for tally in shard.values())

    def agrees(self, tallies: Mapping[str, IdTally]) -> bool:
        """Whether each published configuration has the same users here and in the database."""
        mine: dict[str, IdTally] = defaultdict(lambda: NOBODY.tally)
        for shard in self.tallies.values():
            for config_id, tally in shard.items():
                before = mine[config_id]
                mine[config_id] = IdTally(before.users + tally.users, before.checksum + tally.checksum)
        return all(mine[config_id] == tallies.get(config_id, NOBODY.tally) for config_id in self.profiles)

    def switched_off(self, rows: Iterable[ConfigurationRow], profiles: Mapping[str, Profile]) -> int:
        """Count the published assignments whose configuration was deactivated or emptied."""
        return self.users_of({row.id for row in rows} - profiles.keys())

    def users_of(self, config_ids: Collection[str]) -> int:
        """Count the published assignments of these configurations."""
        return sum(
            tally.users
            for tallies in self.tallies.values()
            for config_id, tally in tallies.items()
            if config_id in config_ids
        )
