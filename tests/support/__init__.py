"""Parts that tests of several folders share: runs to start from, servers, clocks."""
