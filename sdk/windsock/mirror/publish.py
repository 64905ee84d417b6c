"""Turn readings and changes into written documents, subject to the guards."""

import contextlib
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from windsock.errors import ConfigurationError, GuardError, MirrorError
from windsock.flag_names import shard_of
from windsock.logs import get_logger
from windsock.mirror.checking import Fitting
from windsock.mirror.documents import Layout, Profile, Shard, parse, render, shard_count
from windsock.mirror.folder import Folder
from windsock.mirror.folder_state import NAME as MEMORY
from windsock.mirror.folder_state import Memory
from windsock.mirror.guard import ShrinkGuard
from windsock.mirror.id_lists import IdTally
from windsock.mirror.postgres import Reading
from windsock.mirror.published import NOBODY, Published
from windsock.mirror.rows import (
    AssignmentList,
    AssignmentRow,
    Changes,
    ConfigurationRow,
    HeldBackError,
    is_foreign,
    last_good,
    read_profile,
    read_settings,
)

_log = get_logger("windsock.mirror")

_LAST_GOOD = "its last good settings stay published"
_LEFT_OUT = "it is not published, and its users have the defaults"
_FOREIGN = "it sets no field of the classes here, so it is for another application"
_PUBLISHED = "it is published all the same, and windsock's services fall back field by field"


@dataclass(frozen=True, slots=True)
class Written:
    """The result of one publication.

    Attributes:
        files: The documents written, not counting unchanged ones.
        size: Their size in bytes.
        assigned: How many users have a profile now.
    """

    files: tuple[str, ...]
    size: int
    assigned: int


class Publisher:
    """The state of one folder, and the two ways to update it: in full or by changes.

    Args:
        folder: The folder of the documents.
        layout: The mirrored flags, and the number of files.
        guard: Refuses mass removals.
        fitting: Checks profiles against the known settings classes.
        memory: Stores the guard's state in the folder.

    Attributes:
        published: The documents' content.
        folder_id: The folder's identifier, once it's taken over.
        is_cut_short: Whether the last publication failed midway.
    """

    def __init__(
        self, folder: Folder, layout: Layout, guard: ShrinkGuard, fitting: Fitting, memory: Memory
    ) -> None:
        self._folder = folder
        self.layout = layout
        self._guard = guard
        self._fitting = fitting
        self._memory = memory
        self.progress: Callable[[int, int], None] = lambda _done, _total: None
        self._complaints: dict[str, str] = {}
        self.published = Published()
        self.is_cut_short = False
        self.folder_id = ""

    def load(self) -> None:
        """Load the last published state from the documents.

        Raises:
            ConfigurationError: The folder's documents have a different number of shards.
        """
        self.published = Published()
        existing = self._folder.documents()
        if existing and not self._is_of_this_layout(existing[0]):
            raise ConfigurationError(
                f"{self._folder.path}: {existing[0]} is of a mirror with another number of shards. "
                "That number is fixed when a folder is set up: give the old one, or a new folder"
            )
        for number, name in enumerate(self.layout.file_names):
            shard = self._read(number, name)
            if shard is not None:
                self.published.profiles.update(shard.profiles)
                self.published.tallies[number] = _tallies(shard)
        remembered, assigned = self._memory.read(), self.published.assigned
        self._guard.restore(remembered.peaks, assigned, remembered.left(assigned))
        self.is_cut_short = False

    def take_over(self) -> None:
        """Load the folder's documents, claim it for this mirror and its group, and stop all others' writes.

        Raises:
            ConfigurationError: The folder belongs to another group of mirrors, or its documents have a
                different number of shards.
            MirrorError: The folder can't be created or written to.
        """
        self._folder.prepare()
        self.load()
        self.folder_id = self._memory.take_over(self._guard.peaks)
        self._folder.clean()

    def _is_of_this_layout(self, first: str) -> bool:
        try:
            return shard_count(self._folder.read(first) or b"") == self.layout.shards
        except ValueError:
            return first in self.layout.file_names  # damaged, or not the first: it will be rewritten

    def is_intact(self) -> bool:
        """Whether every document and the guard's state are as this mirror left them."""
        return all(self._folder.is_ours(name) for name in (MEMORY, *self.layout.file_names))

    def documents(self, reading: Reading) -> Iterator[tuple[str, bytes]]:
        """Render every document of a reading without writing any."""
        profiles = self._profiles(reading.configurations)
        with contextlib.closing(reading.assignments(self.layout.shards)) as rows:
            for number, shard in self._shards(profiles, rows):
                yield self.layout.file_names[number], render(self.layout, number, shard)

    def publish_all(self, reading: Reading, *, allow_shrink: bool = False) -> Written:
        """Write every document changed by a full reading.

        Raises:
            GuardError: Too many assignments would be lost. They stay as published, but changes to their
                configurations, including deactivations, are published.
        """
        self._find_again()
        if allow_shrink:
            self._guard.reset()
        profiles = self._profiles(reading.configurations)
        forgiven = self.published.switched_off(reading.configurations, profiles)
        # only users of what is published: those of another mirror's configurations must not hide a removal
        assigned = sum(reading.users.get(config_id, 0) for config_id in profiles)
        try:
            self._guard.check(assigned, sum(reading.users.values()), len(reading.configurations), forgiven)
        except GuardError:
            self.publish_configurations(reading.configurations)
            raise
        self._announce(forgiven)
        self.published = Published(profiles=dict(profiles))
        with contextlib.closing(reading.assignments(self.layout.shards)) as rows:
            written = self._write_all(_first_last(self._shards(profiles, rows)))
        self._remember(forgiven, written.assigned)
        return written

    def publish_changes(self, changes: Changes) -> Written | None:
        """Write the documents affected by these changes; None if a full reading is needed.

        That is the case if a configuration's users aren't in the documents yet, or if too many assignments
        might be lost: the changes give only an upper bound.
        """
        profiles = self._changed_profiles(changes)
        if profiles is None or not self.is_intact():
            return None
        lost = sum(row.config_id not in profiles for row in changes.assignments)
        lost += self.published.users_of(changes.gone)  # of a configuration that's deleted without its users
        if not self._guard.allows(self.published.assigned - lost):
            return None
        forgiven = self.published.switched_off(changes.configurations, profiles)
        self._announce(forgiven)
        written = self._write_all(self._moved(profiles, changes.assignments))
        self.published.profiles = profiles
        self._remember(forgiven, written.assigned)
        return written

    def publish_configurations(self, rows: Iterable[ConfigurationRow]) -> Written:
        """Write these rows' changes to published configurations, leaving assignments unchanged.

        A guard that stops assignments must not stop deactivations or corrections.

        Args:
            rows: Rows of `app_configurations`. Rows not published yet are left out.

        Raises:
            MirrorError: A document can't be read or written.
        """
        self._find_again()
        self._leave_out_damaged()
        known = [row for row in rows if row.id in self.published.profiles]
        profiles = dict(self.published.profiles)
        for row in known:
            profile = self._profile(row)
            if profile is None:
                del profiles[row.id]
            else:
                profiles[row.id] = profile
        forgiven = self.published.switched_off(known, profiles)
        self._announce(forgiven)
        written = self._write_all(self._moved(profiles, ()))
        self.published.profiles = profiles
        self._remember(forgiven)
        return written

    def _find_again(self) -> None:
        """After a publication that failed midway, read what it wrote, as after one that was killed."""
        if self.is_cut_short:
            self.load()

    def _leave_out_damaged(self) -> None:
        for number, name in enumerate(self.layout.file_names):
            if number in self.published.tallies and not self._folder.is_ours(name):
                shard = self._read(number, name)
                if shard is None:
                    del self.published.tallies[number]

    def _announce(self, leaving: int) -> None:
        """Note what the next publication removes on purpose, in case this process is killed during it."""
        if leaving:
            self._memory.write(self._guard.peaks, (self.published.assigned, leaving))

    def _remember(self, forgiven: int, assigned: int | None = None) -> None:
        """Tell the guard what a publication removed on purpose and, if assignments changed, what it left."""
        self._guard.forgive(forgiven)
        if assigned is not None:
            self._guard.published(assigned)
        self.folder_id = self._memory.write(self._guard.peaks)

    def _moved(
        self, profiles: Mapping[str, Profile], assignments: Iterable[AssignmentRow]
    ) -> Iterator[tuple[int, Shard]]:
        """Yield the affected shards with the change applied."""
        for number, rows in sorted(self._touched(profiles, assignments).items()):
            name = self.layout.file_names[number]
            shard = self._read(number, name, self.published.tallies[number])
            if shard is None:
                raise MirrorError(f"{self._folder.path / name}: gone while it was read; it is rewritten")
            _move(shard, profiles, rows)
            yield number, shard

    def _touched(
        self, profiles: Mapping[str, Profile], assignments: Iterable[AssignmentRow]
    ) -> dict[int, list[AssignmentRow]]:
        """Find the affected shards, each with its changed assignments."""
        touched: dict[int, list[AssignmentRow]] = defaultdict(list)
        for row in assignments:
            touched[shard_of(row.user_id, self.layout.shards)].append(row)
        before = self.published.profiles
        altered = {key for key in before.keys() | profiles.keys() if before.get(key) != profiles.get(key)}
        for number, tallies in self.published.tallies.items():
            if not altered.isdisjoint(tallies):
                touched.setdefault(number, [])
        return touched

    def _read(self, number: int, name: str, tallies: Mapping[str, IdTally] | None = None) -> Shard | None:
        data = self._folder.read(name)
        if data is None:
            return None
        try:
            return parse(self.layout, number, data, tallies)
        except ValueError as error:
            _log.warning("%s: %s; it is rewritten", self._folder.path / name, error)
            return None

    def _write_all(self, shards: Iterable[tuple[int, Shard]]) -> Written:
        self.is_cut_short = True
        files, size = [], 0
        made: deque[tuple[int, int, dict[str, IdTally]]] = deque()
        for name, is_written in self._folder.write_all(self._rendered(shards, made)):
            number, length, tallies = made.popleft()
            self.published.tallies[number] = tallies
            if is_written:
                files.append(name)
                size += length
        if files:
            self._folder.sync()
        self.is_cut_short = False
        return Written(tuple(files), size, self.published.assigned)

    def _rendered(
        self, shards: Iterable[tuple[int, Shard]], rendered: "deque[tuple[int, int, dict[str, IdTally]]]"
    ) -> Iterator[tuple[str, bytes]]:
        """Render documents one by one, and record in `rendered` what to remember about each."""
        for done, (number, shard) in enumerate(shards):
            self.progress(done, self.layout.shards)
            data = render(self.layout, number, shard)
            rendered.append((number, len(data), _tallies(shard)))
            yield self.layout.file_names[number], data

    def _shards(
        self, profiles: Mapping[str, Profile], rows: Iterable[AssignmentList]
    ) -> Iterator[tuple[int, Shard]]:
        gathered = groupby(rows, key=lambda row: row.shard)
        number, lists = next(gathered, (None, ()))
        for wanted in range(self.layout.shards):
            shard = Shard(profiles=dict(profiles))
            if number == wanted:
                shard.assigned = {row.config_id: row.users for row in lists if row.config_id in profiles}
                number, lists = next(gathered, (None, ()))
            yield wanted, shard

    def _profiles(self, rows: Iterable[ConfigurationRow]) -> dict[str, Profile]:
        profiles = {row.id: self._profile(row) for row in rows}
        return {config_id: profile for config_id, profile in profiles.items() if profile is not None}

    def _changed_profiles(self, changes: Changes) -> dict[str, Profile] | None:
        profiles = dict(self.published.profiles)
        for config_id in changes.gone:
            profiles.pop(config_id, None)
        for row in changes.configurations:
            profile = self._profile(row)
            before = profiles.get(row.id)
            if profile is None:
                profiles.pop(row.id, None)
            elif before is None or profile.settings.keys() - before.settings.keys():
                return None  # its users aren't in the documents yet
            else:
                profiles[row.id] = profile
        return profiles

    def _profile(self, row: ConfigurationRow) -> Profile | None:
        """The profile to publish for a row; the last published one if the row can't be published now."""
        if not row.is_active:
            self._complaints.pop(row.id, None)
            return None
        foreign = False
        try:
            settings = read_settings(row)
            foreign = is_foreign(settings, self.layout.flags, self._fitting.fields)
            profile, strays = read_profile(row, settings, self.layout.flags, self._fitting.fields)
            misfit = self._fitting.check(row.id, profile, strays)
        except HeldBackError as problem:
            last = self.published.profiles.get(row.id)
            if foreign and last is None:
                self._complain(logging.INFO, row, _FOREIGN, _LEFT_OUT)
            else:
                self._complain(logging.ERROR, row, str(problem), _LAST_GOOD if last else _LEFT_OUT)
            return last and last_good(row, last)
        if foreign:
            self._complain(logging.INFO, row, _FOREIGN, "it changes nothing here")
        elif misfit:
            self._complain(logging.WARNING, row, misfit, _PUBLISHED)
        elif self._complaints.pop(row.id, None):
            _log.info("app_configurations %s (%s) is valid again", row.id, row.name)
        return profile if profile.settings else None

    def _complain(self, level: int, row: ConfigurationRow, problem: str, outcome: str) -> None:
        if self._complaints.get(row.id) != problem:
            self._complaints[row.id] = problem
            _log.log(level, "app_configurations %s (%s): %s; %s", row.id, row.name, problem, outcome)


def _tallies(shard: Shard) -> dict[str, IdTally]:
    return {config_id: users.tally for config_id, users in shard.assigned.items()}


def _first_last(shards: Iterator[tuple[int, Shard]]) -> Iterator[tuple[int, Shard]]:
    """Move the first shard to the end: it publishes the number of shards, so all of them must exist."""
    first = next(shards)
    yield from shards
    yield first


def _move(shard: Shard, profiles: Mapping[str, Profile], rows: Iterable[AssignmentRow]) -> None:
    """Apply new profiles and changed assignments to a shard."""
    shard.profiles = dict(profiles)
    hashes = {row.user_id: row.hash for row in rows}
    arrived: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.config_id is not None and row.config_id in profiles:
            arrived[row.config_id].append(row.user_id)
    assigned = {}
    for config_id in profiles.keys() & (shard.assigned.keys() | arrived.keys()):
        users = shard.assigned.get(config_id, NOBODY)
        if hashes:
            users = users.moved(hashes, arrived[config_id])
        if users.count:
            assigned[config_id] = users
    shard.assigned = assigned
