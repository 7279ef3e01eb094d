/* Any bytes as a piece of a session on disk. What reads is written again and must give the same
 * bytes: nothing of a session may change over a restart. Input: space, size of the key, key, value.
 */

#include <stdlib.h>

#include "base/check.h"
#include "storage/state/session_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct session_state s;
    uint8_t room[SESSION_STATE_KEY_BYTES_MAX];
    struct bytes in = {data, size}, key;
    uint8_t space, key_bytes;
    if (bytes_take_u8(&in, &space) != OK || bytes_take_u8(&in, &key_bytes) != OK ||
        bytes_take(&in, key_bytes % (SESSION_STATE_KEY_BYTES_MAX + 2), &key) != OK ||
        session_state_read(space, key, in, &s) != OK) {
        return 0;
    }
    const size_t most = session_state_bytes(&s);
    struct writer key_again = {room, 0, sizeof room}, again = {malloc(most), 0, most};
    CHECK(again.at != NULL && session_state_write(&s, &key_again, &again) == OK);
    CHECK(bytes_equal((struct bytes){again.at, again.size}, in));
    CHECK(s.kind == SESSION_STATE_LOOPS ||
          bytes_equal((struct bytes){key_again.at, key_again.size}, key));
    free(again.at);
    return 0;
}
