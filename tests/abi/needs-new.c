/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A program that needs the new function of the next release (next.py): an older library does not start it. */

#include <ctrack.h>
#include <stdio.h>

int main(void)
{
    printf("%d\n", (int)ct_mock_added(41));
    return 0;
}
