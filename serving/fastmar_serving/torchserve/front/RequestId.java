package fastmar.front;

import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;

/** The id of a request in logs: the caller's, or a new one. */
final class RequestId {
    private static final int MAX_LENGTH = 128;

    private RequestId() {}

    static String of(String header) {
        return header != null && isValid(header) ? header : random();
    }

    private static boolean isValid(String text) {
        if (text.isEmpty() || text.length() > MAX_LENGTH) {
            return false;
        }
        return text.chars().allMatch(character -> character > 0x20 && character < 0x7f);
    }

    /** A random UUID (version 4). It need not be secret, so SecureRandom and its lock are not needed. */
    private static String random() {
        ThreadLocalRandom random = ThreadLocalRandom.current();
        long high = (random.nextLong() & ~0xf000L) | 0x4000L;
        long low = (random.nextLong() & 0x3fffffffffffffffL) | 0x8000000000000000L;
        return new UUID(high, low).toString();
    }
}
