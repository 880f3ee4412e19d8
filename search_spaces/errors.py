"""The root of all errors that are the user's to mend.

    InputError (ValueError)        one line: what was wrong, what is allowed, what to do
    ├── ArchError                  numbers that do not describe a network        search_spaces.arch
    ├── KindError                  a kind of block that there is not              search_spaces.kinds
    ├── FileError                  a file that cannot be used                    search_spaces.checked
    ├── MissingOpsError            a latency table without some Ops              latency.table
    └── SourceError                a device that cannot be measured              latency.source
        ├── AgentStartError        the program on it did not start               latency.agent_source
        └── LostError, FullError   a phone is gone, or its storage is full       latency.adb

Commands print an InputError as one line and exit with 2; anything else is a fault of ours.
"""


class InputError(ValueError):
    """Something given from outside cannot be used; the message is written for whoever gave it."""
