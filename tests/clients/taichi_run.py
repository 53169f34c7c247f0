# SPDX-License-Identifier: MIT
"""Particles that fall and swirl, by Taichi on the device that is named (cpu or cuda): each step they are gathered on a grid by atomics, the grid moves, and they move
with it. Prints sums over all particles, one a line for each step; then the libraries of CUDA that are loaded, a path a line."""
import re
import sys

import taichi as ti

ti.init(arch={"cpu": ti.cpu, "cuda": ti.cuda}[sys.argv[1]], offline_cache=False, device_memory_GB=0.1, random_seed=7, cpu_max_num_threads=2)
PARTICLES, CELLS, STEPS, DT = 512, 16, 12, 0.01
place = ti.Vector.field(2, ti.f32, PARTICLES)
speed = ti.Vector.field(2, ti.f32, PARTICLES)
momentum = ti.Vector.field(2, ti.f32, (CELLS, CELLS))
mass = ti.field(ti.f32, (CELLS, CELLS))
total = ti.field(ti.f32, 4)


@ti.kernel
def begin():
    for p in place:
        at = ti.Vector([p % 32, p // 32]) / 32
        place[p] = 0.25 + 0.5 * at
        speed[p] = ti.Vector([ti.sin(6 * at.y), ti.cos(6 * at.x)])


@ti.func
def weights(p):
    """The cell of a particle, and how much of it is in this and in the next one."""
    at = place[p] * CELLS
    cell = ti.floor(at).cast(int)
    return cell, at - cell


@ti.kernel
def step():
    for cell in ti.grouped(mass):
        momentum[cell] = [0, 0]
        mass[cell] = 0
    for p in place:
        cell, part = weights(p)
        for i, j in ti.static(ti.ndrange(2, 2)):
            w = (part.x if i else 1 - part.x) * (part.y if j else 1 - part.y)
            momentum[cell + ti.Vector([i, j])] += w * speed[p]
            mass[cell + ti.Vector([i, j])] += w
    for cell in ti.grouped(mass):
        if mass[cell] > 0:
            momentum[cell] = momentum[cell] / mass[cell] + DT * ti.Vector([0, -9.8])
            for d in ti.static(range(2)):
                if cell[d] < 2 and momentum[cell][d] < 0 or cell[d] > CELLS - 3 and momentum[cell][d] > 0:
                    momentum[cell][d] = 0
    for p in place:
        cell, part = weights(p)
        moved = ti.Vector([0.0, 0.0])
        for i, j in ti.static(ti.ndrange(2, 2)):
            w = (part.x if i else 1 - part.x) * (part.y if j else 1 - part.y)
            moved += w * momentum[cell + ti.Vector([i, j])]
        speed[p] = moved
        place[p] += DT * moved


@ti.kernel
def add_up():
    for p in place:
        total[0] += place[p].x
        total[1] += place[p].y
        total[2] += speed[p].norm()
        total[3] += ti.exp(-place[p].norm_sqr())


begin()
for _ in range(STEPS):
    step()
    total.fill(0)
    add_up()
    print(*(f"{v:.6f}" for v in total.to_numpy()))
with open("/proc/self/maps", encoding="utf-8") as maps:
    print(*sorted(set(re.findall(r"/\S*/lib(?:cu|nvidia|nccl)\S*", maps.read()))), sep="\n")
